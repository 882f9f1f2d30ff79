"""Non-maximum suppression: torchvision's kernel, plain torch for offset 1."""

import torch
from torch import Tensor
from torchvision.ops import nms as torchvision_nms

from .precision import round_to_float32, widen
from .table import serve

_BLOCK = 512


@serve('torchvision')
def nms(
    boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int = 0
) -> Tensor:
    """Keep the boxes that no kept box of higher score overlaps too much.

    Args:
        boxes: (N, 4), xyxy.
        scores: (N,). Of equal scores the first comes first.
        iou_threshold: a box is suppressed where the IoU is greater.
        offset: 0 or 1; sides are ``x2 - x1 + offset``.

    Returns:
        (K,) indices of the kept boxes, int64, by descending score.
    """
    if boxes.numel() == 0:
        return boxes.new_empty(0, dtype=torch.long)
    order = scores.sort(descending=True, stable=True).indices
    boxes = widen(boxes)[order]
    # The compiled operator compares with a float; a double 0.3 is smaller
    # and would suppress boxes that sit exactly on the threshold.
    threshold = round_to_float32(iou_threshold)
    if offset == 0:
        # Ranks stand for the scores, whose type may differ from the boxes'.
        rank = torch.arange(
            len(boxes), 0, -1, dtype=boxes.dtype, device=boxes.device
        )
        keep = torchvision_nms(boxes, rank, threshold)
    else:
        keep = _suppress(boxes, threshold, offset)
    return order[keep]


def _overlaps(
    boxes: Tensor, others: Tensor, threshold: float, offset: int
) -> Tensor:
    """Tell which pairs have an IoU above the threshold: (N, M), bool."""
    first, second = boxes[:, None], others[None, :]
    sides = torch.minimum(first[..., 2:], second[..., 2:])
    sides = sides - torch.maximum(first[..., :2], second[..., :2]) + offset
    sides = sides.clamp_(min=0)
    inter = sides[..., 0] * sides[..., 1]
    union = _area(first, offset) + _area(second, offset) - inter
    return inter / union > threshold


def _area(boxes: Tensor, offset: int) -> Tensor:
    sides = boxes[..., 2:] - boxes[..., :2] + offset
    return sides[..., 0] * sides[..., 1]


def _suppress(boxes: Tensor, threshold: float, offset: int) -> Tensor:
    """Greedy suppression of boxes sorted by descending score.

    Shifting x2 and y2 by the offset for torchvision's kernel would round
    ``x2 + 1`` first, and indices near the threshold would differ.  So this
    computes the sides in the compiled operator's order, in blocks that bound
    the memory: inside a block the rule "kept unless a kept predecessor
    overlaps" is iterated to its only fixed point, then the block's survivors
    suppress everything behind it.
    """
    alive = torch.ones(len(boxes), dtype=torch.bool, device=boxes.device)
    for start in range(0, len(boxes), _BLOCK):
        stop = start + _BLOCK
        rows = alive[start:stop].nonzero().squeeze(1) + start
        block = boxes[rows]
        hits = _overlaps(block, block, threshold, offset).triu_(1)
        keep, last = ~hits.any(0), None
        while last is None or not torch.equal(keep, last):
            keep, last = ~(hits & keep[:, None]).any(0), keep
        alive[rows] = keep
        hits = _overlaps(block[keep], boxes[stop:], threshold, offset)
        alive[stop:] &= ~hits.any(0)
    return alive.nonzero().squeeze(1)
