"""Resize maps to the grid of another member, so that positions line up."""

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor

Size = tuple[int, int]

_FACTORS = (2, 4, 8, 16, 32)


def enlarge(x: Tensor, size: Size) -> Tensor:
    """Enlarge a map (B, C, h, w) to (H, W) by nearest neighbours.

    Between strides that divide each other, as of the published members, the
    nearest cell is found from the beginning of a position.  For others, such
    as patches of 14 pixels or a scaled member, this would move the map by up
    to half a cell, so the centres count.  Both agree if the sizes divide.
    """
    if x.shape[-2:] == tuple(size):
        return x
    factor = _repeats(x, size)
    if factor:
        x = x.repeat_interleave(factor, -1)
        return x.repeat_interleave(factor, -2)
    pairs = list(zip(size, x.shape[-2:], strict=True))
    usual = any(
        all(-(-large // factor) == small for large, small in pairs)
        for factor in _FACTORS
    )
    return F.interpolate(x, size, mode='nearest' if usual else 'nearest-exact')


def find_factor(small: Size, large: Size) -> int | None:
    """Find the power of two that takes one (H, W) to another; else None."""
    for factor in (1, *_FACTORS):
        if all(b == factor * a for a, b in zip(small, large, strict=True)):
            return factor
    return None


def divide(*sizes: Size) -> bool:
    """Tell whether each (H, W) is a power of two times the one before it.

    Then it is the same to enlarge a map step by step or at once.
    """
    return all(find_factor(a, b) for a, b in pairwise(sizes))


def add_enlarged(x: Tensor, y: Tensor) -> Tensor:
    """Compute ``x + enlarge(y, size of x)``, to the last bit.

    Args:
        x: a map (B, C, H, W).
        y: a map (B, C, h, w).
    """
    factor = _repeats(y, x.shape[-2:])
    if factor is None:
        return x + enlarge(y, x.shape[-2:])
    # The sum repeats the rows of y, without a map in between.
    y = y.repeat_interleave(factor, -1).unsqueeze(-2)
    return (x.unflatten(-2, (-1, factor)) + y).flatten(-3, -2)


def _repeats(x: Tensor, size: Size) -> int | None:
    """Give a factor by which it is faster to repeat rows and columns.

    On a CPU, torch is slow at enlarging maps, unless they are channels-last.
    """
    slow = x.device.type == 'cpu' and x.is_contiguous()
    factor = find_factor(x.shape[-2:], size) if slow else None
    return None if factor == 1 else factor
