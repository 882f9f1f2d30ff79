"""Paste the masks of RoI heads, beyond the image too, and part by part.

On the CPU, mmdet 3.3.0 pastes a mask into the surroundings of its box, and
fails if they are empty: ``upper bound and lower bound inconsistent with step
sign``.  The boxes of QueryInst, which are not clipped, leave the image early
in training.  Then mmdet copies what it has pasted into an image for each
mask.  It has no public name for either step.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from mmdet.models.roi_heads.mask_heads import fcn_mask_head
from mmengine.config import ConfigDict
from torch import Tensor, nn

_NAME, _METHOD = '_do_paste_mask', '_predict_by_feat_single'

#: takes masks (n, h, w), bool, the (height, width) of their image, and the
#: (row, column) where they begin; gives a list of n
Use = Callable[[Tensor, tuple[int, int], tuple[int, int]], list[Any]]


def paste_everywhere() -> None:
    """Replace mmdet's function, once."""
    paste = getattr(fcn_mask_head, _NAME)
    if hasattr(paste, 'cbnet'):
        return

    def paste_anywhere(
        masks: Tensor,
        boxes: Tensor,
        img_h: int,
        img_w: int,
        skip_empty: bool = True,
    ) -> tuple[Tensor, tuple[Any, ...]]:
        if skip_empty and not _overlap(boxes, img_h, img_w):
            skip_empty = False  # the whole image, as on CUDA
        return paste(masks, boxes, img_h, img_w, skip_empty)

    paste_anywhere.cbnet = True
    setattr(fcn_mask_head, _NAME, paste_anywhere)


def _overlap(boxes: Tensor, height: int, width: int) -> bool:
    """Tell whether the box around some boxes (n, 4) overlaps the image."""
    size = boxes.new_tensor([width, height])
    first = (boxes[:, :2].amin(0).floor() - 1).clamp(min=0)
    last = torch.minimum(boxes[:, 2:].amax(0).ceil() + 1, size)
    return bool((first < last).all())


def can_hand_over(head: nn.Module) -> bool:
    """Tell whether a mask head pastes as ``FCNMaskHead`` of mmdet does."""
    usual = getattr(fcn_mask_head.FCNMaskHead, _METHOD)
    return getattr(type(head), _METHOD, None) is usual


def hand_over(head: nn.Module, use: Use) -> Callable[[], None]:
    """Let a head give its pasted masks to a function, not into images.

    The masks of its results are then a list of what the function makes of
    them.  They are those of mmdet, to the last bit.

    Args:
        head: a mask head that ``can_hand_over``.
        use: the function.

    Returns:
        A function that ends this.
    """

    def paste(
        mask_preds: Tensor,
        bboxes: Tensor,
        labels: Tensor,
        img_meta: dict[str, Any],
        rcnn_test_cfg: ConfigDict,
        rescale: bool = False,
        activate_map: bool = False,
    ) -> Any:
        threshold = rcnn_test_cfg.mask_thr_binary
        if threshold < 0:  # grey values, for debugging
            return getattr(type(head), _METHOD)(
                head, mask_preds, bboxes, labels, img_meta, rcnn_test_cfg,
                rescale, activate_map,
            )  # fmt: skip
        if not head.class_agnostic:  # first: the others are not needed
            mask_preds = mask_preds[range(len(labels)), labels][:, None]
        mask_preds = (
            mask_preds.to(bboxes) if activate_map else mask_preds.sigmoid()
        )
        height, width = img_meta['ori_shape'][:2]
        scale = bboxes.new_tensor(img_meta['scale_factor']).repeat(1, 2)
        if rescale:
            bboxes /= scale  # in place, as in mmdet: they are the results
        else:
            height, width = (
                int(np.round(side * factor.item()))
                for side, factor in zip(
                    (height, width), (scale[0, 1], scale[0, 0]), strict=True
                )
            )
        found: list[Any] = []
        for values, corner in _pasted(mask_preds, bboxes, height, width):
            found += use(values >= threshold, (height, width), corner)
        return found

    setattr(head, _METHOD, paste)
    return lambda: delattr(head, _METHOD)


def _pasted(
    masks: Tensor, boxes: Tensor, height: int, width: int
) -> Iterator[tuple[Tensor, tuple[int, int]]]:
    """Yield pasted values (n, h, w) and the corners where they begin."""
    on_cpu = boxes.device.type == 'cpu'
    paste = _one_by_one if on_cpu else _in_chunks
    yield from paste(masks, boxes, height, width)


def _in_chunks(
    masks: Tensor, boxes: Tensor, height: int, width: int
) -> Iterator[tuple[Tensor, tuple[int, int]]]:
    """Yield whole images, as mmdet makes them on a GPU."""
    size = len(masks) * height * width * fcn_mask_head.BYTES_PER_FLOAT
    chunks = math.ceil(size / fcn_mask_head.GPU_MEM_LIMIT)
    for some, where in zip(
        masks.chunk(chunks), boxes.chunk(chunks), strict=True
    ):
        values, _ = getattr(fcn_mask_head, _NAME)(
            some, where, height, width, skip_empty=False
        )
        yield values, (0, 0)


def _one_by_one(
    masks: Tensor, boxes: Tensor, height: int, width: int
) -> Iterator[tuple[Tensor, tuple[int, int]]]:
    """Yield the surroundings of each box, as mmdet fills them on a CPU.

    All that does not depend on the size of a box is computed for all boxes
    at once, because in mmdet this takes longer than the masks themselves.
    """
    size = boxes.new_tensor([width, height])
    first = (boxes[:, :2].floor() - 1).clamp(min=0)
    last = torch.minimum(boxes[:, 2:].ceil() + 1, size)
    inside = (first < last).all(1, keepdim=True)  # else the whole image
    first, last = first.where(inside, 0), last.where(inside, size)
    xs, ys = (
        _places(boxes[:, axis::2], length)
        for axis, length in enumerate((width, height))
    )
    masks = masks.float()
    corners = torch.cat([first, last], 1).int().tolist()
    for i, (left, top, right, bottom) in enumerate(corners):
        shape = bottom - top, right - left
        grid = torch.stack(
            [
                xs[i, None, left:right].expand(shape),
                ys[i, top:bottom, None].expand(shape),
            ],
            dim=2,
        )
        values = torch.nn.functional.grid_sample(
            masks[i : i + 1], grid[None], align_corners=False
        )
        yield values[0], (top, left)


def _places(edges: Tensor, length: int) -> Tensor:
    """Return where pixels lie between edges (n, 2), from -1 to 1."""
    start, end = edges.split(1, dim=1)
    pixels = torch.arange(length, dtype=torch.float32) + 0.5
    places = (pixels - start) / (end - start) * 2 - 1
    return places.where(~places.isinf(), 0)
