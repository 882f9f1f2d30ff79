"""Files that are known, but that no member computes."""

from collections.abc import Set

from ...errors import UserValueError
from .base import Layout, Rename, Weights


def _refuse(why: str) -> Rename:
    def rename(weights: Weights, names: Set[str]) -> Weights:
        raise UserValueError(why)

    return rename


SIMCLR_SELECTIVE = Layout(
    'SimCLRv2 with selective kernels',
    ('net.1.blocks.0.net.2.main_conv.0.weight',),
    _refuse(
        'it holds a SimCLRv2 ResNet with selective kernels (_sk1), which no '
        'member computes; give the file without them (_sk0)'
    ),
)
VIT_RESNAS = Layout(
    'ViT-ResNAS',
    [f'blocks.{block}.patch_reduce.weight' for block in range(100)],
    _refuse(
        'it holds a ViT-ResNAS, whose blocks reduce the patches '
        '(patch_reduce), and which no member computes; give the file of '
        'another network'
    ),
)
