"""Encode masks as COCO's run lengths, where they are and without empty rims.

pycocotools encodes whole images on the CPU, one by one, after a copy of each
that turns it on its side.  Where a mask starts and ends in each column says
the same in far fewer numbers, which are found on any device.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from pycocotools import mask as coco_mask
from torch import Tensor

RunLengths = dict[str, Any]


def encode_masks(
    masks: Tensor,
    size: tuple[int, int] | None = None,
    corner: tuple[int, int] = (0, 0),
) -> list[RunLengths]:
    """Encode masks, which may be a part of their images.

    Args:
        masks: the masks, bool, of shape (n, h, w), on any device.
        size: the (height, width) of the image; None: that of the masks.
        corner: the (row, column) of the image where the masks begin. All
            around them is background.

    Returns:
        What ``pycocotools.mask.encode`` gives for each whole mask: ``size``
        and ``counts``, as bytes.
    """
    height, width = size or masks.shape[1:]
    top, left = corner
    number, column, row = _changes(masks)
    places = (left + column) * height + top + row
    # Where a run goes on at the top of the next column, it has not ended.
    goes_on = np.flatnonzero(
        (places[1:] == places[:-1]) & (number[1:] == number[:-1])
    )
    if len(goes_on):
        gone = np.concatenate([goes_on, goes_on + 1])
        places, number = np.delete(places, gone), np.delete(number, gone)
    ends = np.searchsorted(number, np.arange(len(masks)), 'right')
    entries = []
    for found in np.split(places, ends)[: len(masks)]:
        # A mask that reaches the last pixel has no background after it.
        last = [] if len(found) and found[-1] == height * width else [1]
        edges = np.concatenate([[0], found, [height * width] * len(last)])
        entries.append(dict(size=[height, width], counts=np.diff(edges)))
    return coco_mask.frPyObjects(entries, height, width) if entries else []


def _changes(masks: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """List where columns change: each mask, column, and row of the change."""
    if masks.device.type == 'cpu':  # numpy starts sooner
        count, height, width = masks.shape
        columns = np.zeros((count, width, height + 2), bool)
        columns[..., 1:-1] = masks.numpy().transpose(0, 2, 1)
        changes = np.flatnonzero(columns[..., 1:] != columns[..., :-1])
        column, row = np.divmod(changes, height + 1)
        number, column = np.divmod(column, width)
        return number, column, row
    return _changes_on_device(masks)


def _changes_on_device(
    masks: Tensor,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    columns = torch.nn.functional.pad(masks.transpose(1, 2), (1, 1))
    changes = columns[..., 1:] != columns[..., :-1]
    return tuple(changes.nonzero().cpu().numpy().T)


def decode_masks(
    encoded: Sequence[RunLengths], size: tuple[int, int]
) -> np.ndarray:
    """Turn run lengths into masks, bool, of shape (n, h, w).

    Args:
        encoded: the masks of an image.
        size: its (height, width), which also an image without masks has.
    """
    if not encoded:
        return np.zeros((0, *size), bool)
    masks = coco_mask.decode(list(encoded))
    return np.ascontiguousarray(masks.transpose(2, 0, 1)).astype(bool)
