"""A pyramid from one map, for plain ViTs.

Paper: arXiv 2203.16527 (ViTDet), section 3, "Simple feature pyramid".
"""

import math
from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from mmcv.cnn import ConvModule, build_norm_layer
from mmdet.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from ...errors import UserValueError


@MODELS.register_module()
class SimpleFeaturePyramid(BaseModule):
    """Make maps of several strides from the last map of a plain ViT.

    Transposed convolutions enlarge the map, max pooling makes it smaller;
    two convolutions follow at each stride.  The paper has layer norms over
    the channels; the default here is a group norm of one group.

    Args:
        in_channels: the channels of the last map, or of all maps.
        out_channels: the channels of every map of the pyramid.
        stride: the input pixels per position of the last map.
        strides: the strides of the pyramid; each is ``stride`` times or
            divided by a power of two.
        num_outs: the number of maps; those after ``strides`` are pooled.
        norm_cfg: the norm after each convolution.
        init_cfg: as in every mmengine module.

    Raises:
        ValueError: a stride is not a power of two away from ``stride``.
    """

    def __init__(
        self,
        in_channels: int | Sequence[int],
        out_channels: int = 256,
        stride: int = 16,
        strides: Sequence[int] = (4, 8, 16, 32),
        num_outs: int = 5,
        norm_cfg: dict[str, Any] | None = None,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if not isinstance(in_channels, int):
            in_channels = in_channels[-1]
        norm_cfg = norm_cfg or dict(type='GN', num_groups=1)
        self.num_outs = num_outs
        self.levels = nn.ModuleList(
            _level(in_channels, out_channels, _doublings(stride, s), norm_cfg)
            for s in strides
        )

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Turn the maps of a backbone into a pyramid.

        Args:
            inputs: the maps (B, C, H, W); only the last one is read.
        """
        maps = [level(inputs[-1]) for level in self.levels]
        while len(maps) < self.num_outs:
            maps.append(F.max_pool2d(maps[-1], 1, stride=2))
        return tuple(maps)


def _doublings(stride: int, wanted: int) -> int:
    """Tell how often the resolution is doubled; negative: halved."""
    power = math.log2(stride / wanted)
    if not power.is_integer():
        raise UserValueError(
            f'strides holds {wanted}; expected stride={stride} times or '
            f'divided by 2, 4, 8, ...'
        )
    return int(power)


def _level(
    channels: int, out: int, doublings: int, norm_cfg: dict[str, Any]
) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i in range(doublings):
        if i > 0:
            layers += [build_norm_layer(norm_cfg, channels)[1], nn.GELU()]
        half = channels // 2
        layers.append(nn.ConvTranspose2d(channels, half, 2, stride=2))
        channels = half
    layers += [nn.MaxPool2d(2) for _ in range(-doublings)]
    options = dict(norm_cfg=norm_cfg, act_cfg=None, bias=False)
    layers += [
        ConvModule(channels, out, 1, **options),
        ConvModule(out, out, 3, padding=1, **options),
    ]
    return nn.Sequential(*layers)
