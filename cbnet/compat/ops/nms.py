"""Non-maximum suppression, and which boxes suppressed which.

torchvision's kernel computes what it can, plain torch the rest: offset 1 and
groups.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from .precision import round_to_float32, widen
from .table import serve

BLOCK = 512


@serve('torchvision')
def nms(
    boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int = 0
) -> Tensor:
    """Keep the boxes that no kept box of higher score overlaps too much.

    Args:
        boxes: the boxes, (N, 4), xyxy.
        scores: the scores, (N,); of equal ones the first comes first.
        iou_threshold: the IoU above which a box is suppressed.
        offset: a summand, 0 or 1: sides are ``x2 - x1 + offset``.

    Returns:
        (K,) indices of the kept boxes, int64, by descending score.
    """
    if boxes.numel() == 0:
        return boxes.new_empty(0, dtype=torch.long)
    order = scores.sort(descending=True, stable=True).indices
    boxes = widen(boxes)[order]
    # The compiled operator compares with a float; a double 0.3 is smaller
    # and would suppress boxes whose IoU is exactly the threshold.
    threshold = round_to_float32(iou_threshold)
    if offset == 0:
        # Ranks stand for the scores, whose type may differ from the boxes'.
        rank = torch.arange(
            len(boxes), 0, -1, dtype=boxes.dtype, device=boxes.device
        )
        keep = torch.ops.torchvision.nms(boxes, rank, threshold)
    else:
        keep = _suppress(
            boxes, lambda one, other: _iou(one, other, offset) > threshold
        )
    return order[keep]


@serve('torch')
def nms_match(dets: Tensor, iou_threshold: float) -> list[list[int]]:
    """Group every box with the kept box that suppresses it.

    Args:
        dets: the boxes, (N, 5), xyxy and score; of equal scores the first
            comes first.
        iou_threshold: the IoU from which a box is suppressed; ``nms`` keeps
            boxes with exactly this IoU.

    Returns:
        One list of indices per kept box, by descending score: first itself,
        then the boxes that it suppresses, by descending score as well.
    """
    if dets.numel() == 0:
        return []
    order = dets[:, 4].sort(descending=True, stable=True).indices
    boxes = widen(dets[:, :4])[order]
    threshold = round_to_float32(iou_threshold)

    def hits(one: Tensor, other: Tensor) -> Tensor:
        return _iou(one, other, offset=0) >= threshold

    keep = _suppress(boxes, hits)
    leader = torch.arange(len(boxes), device=boxes.device)
    free = torch.ones(len(boxes), dtype=torch.bool, device=boxes.device)
    free[keep] = False
    for rows in keep.split(BLOCK):
        candidates = free.nonzero().squeeze(1)
        matches = hits(boxes[rows], boxes[candidates])
        # Of equal maxima, max finds the first: the highest score.
        found, first = matches.byte().max(0)
        found = found.bool()
        leader[candidates[found]] = rows[first[found]]
        free[candidates[found]] = False
    groups = leader.sort(stable=True)
    sizes = groups.values.unique_consecutive(return_counts=True)[1]
    members = order[groups.indices].split(sizes.tolist())
    return [group.tolist() for group in members]


def _iou(boxes: Tensor, others: Tensor, offset: int) -> Tensor:
    """Return the IoU of N boxes with M others, (N, M)."""
    first, second = boxes[:, None], others[None, :]
    sides = torch.minimum(first[..., 2:], second[..., 2:])
    sides = sides - torch.maximum(first[..., :2], second[..., :2]) + offset
    sides = sides.clamp_(min=0)
    inter = sides[..., 0] * sides[..., 1]
    union = _area(first, offset) + _area(second, offset) - inter
    return inter / union


def _area(boxes: Tensor, offset: int) -> Tensor:
    sides = boxes[..., 2:] - boxes[..., :2] + offset
    return sides[..., 0] * sides[..., 1]


def _suppress(
    boxes: Tensor, overlap: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """Suppress boxes that are sorted by descending score, greedily.

    Shifting x2 and y2 by the offset for torchvision's kernel would round
    ``x2 + 1`` first, and indices near the threshold would differ.  So this
    computes the sides in the compiled operator's order, in blocks that bound
    the memory.  Inside a block, the rule "kept unless a kept predecessor
    overlaps" is iterated to its only fixed point; then the block's survivors
    suppress everything after it.
    """
    alive = torch.ones(len(boxes), dtype=torch.bool, device=boxes.device)
    for start in range(0, len(boxes), BLOCK):
        stop = start + BLOCK
        rows = alive[start:stop].nonzero().squeeze(1) + start
        block = boxes[rows]
        hits = overlap(block, block).triu_(1)
        keep, last = ~hits.any(0), None
        while last is None or not torch.equal(keep, last):
            keep, last = ~(hits & keep[:, None]).any(0), keep
        alive[rows] = keep
        hits = overlap(block[keep], boxes[stop:])
        alive[stop:] &= ~hits.any(0)
    return alive.nonzero().squeeze(1)
