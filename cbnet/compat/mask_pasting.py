"""Paste masks of boxes outside of the image, on the CPU as on CUDA.

On the CPU, mmdet 3.3.0 pastes a mask into the surroundings of its box, and
fails if they are empty: ``upper bound and lower bound inconsistent with step
sign``.  The boxes of QueryInst, which are not clipped, leave the image early
in training.  mmdet has no public name for this function.
"""

from typing import Any

import torch
from mmdet.models.roi_heads.mask_heads import fcn_mask_head
from torch import Tensor

_NAME = '_do_paste_mask'


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
