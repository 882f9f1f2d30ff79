"""Members without an adapter of their own: any backbone of maps.

mmdet's and mmpretrain's backbones return a tuple of maps (B, C, H, W).  They
run as they are; a stage ends with each map.
"""

from contextlib import nullcontext
from itertools import pairwise

import torch
from torch import Tensor, nn

from ...errors import UserValueError
from ...messages import one_line
from .entries import find_stages
from .hooked import HookedAdapter
from .obligations import check_obligations
from .trace import Trace, probe_image, trace
from .unread import evaluating, normalising

# The (H, W) of the images that are tried, in pixels.
_TRIED = ((64, 96), (192, 288))


class PlainAdapter(HookedAdapter):
    """Run a backbone that returns a tuple of maps.

    Its stages are counted by its maps: what computes a map that the
    backbone's ``out_indices`` leave out belongs to the stage of the next map,
    or to the stem.

    Args:
        backbone: the built backbone.

    Raises:
        ValueError: the backbone cannot be a member; says why.
    """

    def __init__(self, backbone: nn.Module) -> None:
        with evaluating(backbone), torch.no_grad():
            traced = _trace(backbone)
        calm = all(y.is_meta or y.isfinite().all() for y in traced.maps)
        with nullcontext() if calm else normalising(backbone):
            if not calm:
                with evaluating(backbone), torch.no_grad():
                    traced = _trace(backbone)
            self.probe_size = traced.size
            super().__init__(backbone, find_stages(backbone, traced))
            try:
                check_obligations(self, traced)
            except UserValueError:
                self.remove_hooks()
                raise


def _trace(backbone: nn.Module) -> Trace:
    """Trace a backbone with the first image that it accepts."""
    if next(backbone.parameters(), None) is None:
        raise UserValueError('it has no parameters')
    for size in _TRIED:
        try:
            image = probe_image(backbone, size)
            traced = trace(backbone, backbone, image)
            break
        except Exception as raised:  # a backbone may raise anything
            if isinstance(raised, NotImplementedError):
                raise
            error = raised
    else:
        raise UserValueError(
            f'it does not run on an image of {size[0]}x{size[1]} pixels: '
            f'{one_line(error, 200).rstrip(".")}'
        )
    maps = traced.maps
    if len(maps) and maps[0] is image:
        raise UserValueError(
            'it returns the image before its maps (output_img=True), for a '
            'neck that runs a backbone of its own, such as RFP; a composite '
            'returns maps only, so use output_img=False and a neck of maps, '
            'such as FPN'
        )
    if not all(isinstance(y, Tensor) and y.ndim == 4 for y in maps):
        raise UserValueError('it does not return a tuple of maps')
    heights = [y.shape[-2] for y in maps]
    if any(a < b for a, b in pairwise(heights)):
        raise UserValueError(
            f'its maps have the heights {heights}, but none may be larger '
            f'than the one before'
        )
    return traced
