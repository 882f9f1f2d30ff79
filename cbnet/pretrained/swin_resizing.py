"""Resize what a Swin learnt for one window or image size to another.

As Microsoft's detection code does: bicubic, on the square grid that the
entries stand for.
"""

from collections.abc import Mapping
from math import isqrt

import torch.nn.functional as F
from torch import Tensor


def resize_positions(
    weights: dict[str, Tensor], own: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], list[str]]:
    """Resize position-bias tables and absolute positions to a member's.

    Args:
        weights: mmdet's names to tensors; tables ((2 * window - 1)^2,
            heads), absolute positions (1, H * W, C) of square images.
        own: the member's state dict.

    Returns:
        The weights, and the names of those that were resized.  What differs
        in more than the size is left alone.
    """
    resized = dict(weights)
    names = []
    for name, value in weights.items():
        # Deviation: position tables of a pruned Swin.  A later member has no
        # table for the stages that it shares.
        if name not in own or value.shape == own[name].shape:
            continue
        if name.endswith('.relative_position_bias_table'):
            new = _resize(value[None], own[name].shape[0])
            new = None if new is None else new[0]
        elif name == 'absolute_pos_embed' and value.dim() == 3:
            new = _resize(value, own[name].shape[1])
        else:
            continue
        if new is not None and new.shape == own[name].shape:
            resized[name] = new
            names.append(name)
    return resized, names


def _resize(entries: Tensor, size: int) -> Tensor | None:
    """Resize (1, S * S, C) to (1, size, C); None: these are no squares."""
    before, after = isqrt(entries.shape[1]), isqrt(size)
    if before**2 != entries.shape[1] or after**2 != size:
        return None
    grid = entries.transpose(1, 2).unflatten(2, (before, before))
    # Half precision has no bicubic kernel on every device.
    grid = grid if grid.dtype.itemsize >= 4 else grid.float()
    grid = F.interpolate(grid, (after, after), mode='bicubic')
    return grid.flatten(2).transpose(1, 2).to(entries.dtype).contiguous()
