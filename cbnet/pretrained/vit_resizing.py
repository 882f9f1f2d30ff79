"""Resize what a ViT has learnt about patches and their places.

timm does it in the same way when it loads its own weights: the kernel of the
patch embedding is resized so that larger patches have nearly the same
embedding (FlexiViT, arXiv 2212.08013, section 3.4), and the square grid of
positions bicubically.
"""

from collections.abc import Mapping
from math import isqrt

from torch import Tensor

_KERNEL, _PLACES = 'patch_embed.proj.weight', 'pos_embed'


def resize_patches(
    weights: dict[str, Tensor], own: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Resize kernels and positions in a file to those of a member, ``own``.

    Kernels have the shape (C, 3, P, P), positions (1, H * H, C) or, with a
    class token, (1, 1 + H * H, C).  Weights that differ in more than P or H
    are unchanged.  The names of those that were resized are returned, too.
    """
    resized = {}
    for name in (_KERNEL, _PLACES):
        value, wanted = weights.get(name), own.get(name)
        if value is None or wanted is None or value.shape == wanted.shape:
            continue
        new = (_kernel if name == _KERNEL else _places)(value, wanted.shape)
        if new is not None and new.shape == wanted.shape:
            resized[name] = new
    return weights | resized, tuple(resized)


def _kernel(value: Tensor, shape: tuple[int, ...]) -> Tensor | None:
    if value.dim() != 4 or len(shape) != 4:
        return None
    from timm.layers import resample_patch_embed  # late: it takes long

    return resample_patch_embed(value, list(shape[2:]))


def _places(value: Tensor, shape: tuple[int, ...]) -> Tensor | None:
    if value.dim() != 3 or len(shape) != 3:
        return None
    from timm.layers import resample_abs_pos_embed

    for prefix in (1, 0):
        before, after = value.shape[1] - prefix, shape[1] - prefix
        sides = isqrt(before), isqrt(after)
        if (sides[0] ** 2, sides[1] ** 2) == (before, after):
            old, new = ([side, side] for side in sides)
            return resample_abs_pos_embed(value, new, old, prefix)
    return None
