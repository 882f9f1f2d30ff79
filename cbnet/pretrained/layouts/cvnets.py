"""CVNets's ResNets, such as those of dataset reinforcement (ImageNet+).

The stem of CVNets is its own: a convolution of 3 x 3, and a depthwise one in
place of max pooling.  timm's ResNets with ``replace_stem_pool=True`` compute
the same with kernels that are padded with zeros.
"""

from collections.abc import Set

import torch
import torch.nn.functional as F
from torch import Tensor

from ...errors import UserValueError
from .base import Layout, Weights, renamed

_POOL = 'maxpool.0.weight'
_RULES = (
    [
        (r'\.block\.conv_batch(?:_act)?_(\d)\.block\.conv\.', r'.conv\1.'),
        (r'\.block\.conv_batch(?:_act)?_(\d)\.block\.norm\.', r'.bn\1.'),
        (r'\.down_sample\.block\.conv\.', '.downsample.0.'),
        (r'\.down_sample\.block\.norm\.', '.downsample.1.'),
        (r'^conv_1\.block\.conv\.', 'conv1.'),
        (r'^conv_1\.block\.norm\.', 'bn1.'),
        (r'^layer_1\.block\.conv\.', 'maxpool.0.'),
        (r'^layer_1\.block\.norm\.', 'maxpool.1.'),
    ],
    [
        # CVNets counts the stem's pooling as the first layer.
        (
            r'^layer_([2-5])\.(?:block_)?(\d+)\.',
            lambda match: f'layer{int(match[1]) - 1}.{match[2]}.',
        ),
    ],
)


def _rename(weights: Weights, names: Set[str]) -> Weights:
    ours = renamed(weights, *_RULES)
    if _POOL not in ours:
        return ours
    if 'layer1.0.conv1.weight' in names and _POOL not in names:
        raise UserValueError(
            "its ResNet has CVNets's stem, which pools with a convolution "
            '(layer_1); this member pools without weights, expected '
            "dict(type='TimmBackbone', model_name='resnet50', "
            'replace_stem_pool=True), with the depth of the file'
        )
    for name, widen in (('conv1.weight', _padded), (_POOL, _dense)):
        if name in ours:
            ours[name] = widen(ours[name])
    return ours


def _padded(kernel: Tensor) -> Tensor:
    """Pad kernels of 3 x 3 to 7 x 7, which see the same pixels."""
    return F.pad(kernel, (2,) * 4) if kernel.shape[2:] == (3, 3) else kernel


def _dense(kernel: Tensor) -> Tensor:
    """Turn a depthwise kernel (C, 1, H, W) into a dense one (C, C, H, W)."""
    if kernel.dim() != 4 or kernel.shape[1] != 1:
        return kernel
    channels = torch.eye(len(kernel), dtype=kernel.dtype)
    return channels[..., None, None] * kernel


CVNETS_RESNET = Layout(
    "CVNets's ResNet",
    [
        f'layer_2.{block}0.block.conv_batch_act_1.block.conv.weight'
        for block in ('', 'block_')
    ],
    _rename,
)
