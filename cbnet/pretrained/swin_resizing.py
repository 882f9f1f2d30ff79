"""Resize the learnt positions of a Swin to another window or image size.

The entries form a square grid, which is interpolated bicubically, as in
Microsoft's detection code.
"""

from collections.abc import Mapping
from math import isqrt

import torch.nn.functional as F
from torch import Tensor


def resize_positions(
    weights: dict[str, Tensor], own: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Resize the positions in a file to those of a member, ``own``.

    Tables have the shape ((2 * window - 1)^2, heads), absolute positions of
    square images (1, H * W, C).  Weights that differ in more than this size
    are unchanged.  The names of those that were resized are returned, too.
    """
    resized = {}
    for name, value in weights.items():
        # Deviation: position tables of a pruned Swin.  A later member has no
        # table for the stages that it shares.
        if name not in own or value.shape == own[name].shape:
            continue
        if name.endswith('.relative_position_bias_table') or (
            name == 'absolute_pos_embed' and value.dim() == 3
        ):
            new = _resize(value, own[name].shape[-2])
            if new is not None and new.shape == own[name].shape:
                resized[name] = new
    return weights | resized, tuple(resized)


def _resize(entries: Tensor, size: int) -> Tensor | None:
    """Resize (..., S * S, C) to (..., size, C); None if not of squares."""
    before, after = isqrt(entries.shape[-2]), isqrt(size)
    if before**2 != entries.shape[-2] or after**2 != size:
        return None
    grid = entries.reshape(1, before, before, -1).movedim(-1, 1)
    # Half precision has no bicubic kernel on every device.
    grid = grid if grid.dtype.itemsize >= 4 else grid.float()
    grid = F.interpolate(grid, (after, after), mode='bicubic')
    grid = grid.flatten(2).transpose(1, 2).to(entries.dtype)
    return grid.reshape(*entries.shape[:-2], size, -1).contiguous()
