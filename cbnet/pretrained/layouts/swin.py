"""Layouts of Swin Transformers, all turned into mmdet's names.

=====================================  ======================================
Microsoft's (and timm's blocks)        mmdet's
=====================================  ======================================
``patch_embed.proj.*``                 ``patch_embed.projection.*``
``layers.S.blocks.B.attn.*``           ``stages.S.blocks.B.attn.w_msa.*``
``layers.S.blocks.B.mlp.fc1.*``        ``stages.S.blocks.B.ffn.layers.0.0.*``
``layers.S.blocks.B.mlp.fc2.*``        ``stages.S.blocks.B.ffn.layers.1.*``
``layers.S.downsample.*``              ``stages.S.downsample.*``, permuted
``absolute_pos_embed`` (1, C, H, W)    ``absolute_pos_embed`` (1, H * W, C)
=====================================  ======================================

Patch merging joins the C channels of 2 x 2 positions.  Microsoft's code
joins blocks of C channels, in the order (row, column) = (0, 0), (1, 0),
(0, 1), (1, 1).  mmdet's uses ``nn.Unfold``, which lists the four positions
of each channel, row by row.  Without the permutation, a file would load
without an error but compute something else.
"""

import re
from collections.abc import Set

from torch import Tensor

from ...errors import UserValueError
from .base import Layout, Weights, substituted

_MICROSOFT = (
    [
        (r'^patch_embed\.proj\.', 'patch_embed.projection.'),
        (r'^(layers\.\d+\.blocks\.\d+)\.attn\.', r'\1.attn.w_msa.'),
        (r'^(layers\.\d+\.blocks\.\d+)\.mlp\.fc1\.', r'\1.ffn.layers.0.0.'),
        (r'^(layers\.\d+\.blocks\.\d+)\.mlp\.fc2\.', r'\1.ffn.layers.1.'),
    ],
    [(r'^layers\.(\d+)\.', r'stages.\1.')],
)
_MERGING = re.compile(
    r'^layers\.\d+\.downsample\.(reduction\.weight|norm\.(weight|bias))$'
)
_LATE = re.compile(r'^layers[._](\d+)\.downsample\.')


def _numbered(match: re.Match[str]) -> str:
    """Name a part of a stage; its blocks and its merging are numbered."""
    stage, merging = divmod(int(match[1]) - 1, 2)
    return f'layers.{stage}.{"downsample" if merging else "blocks"}.'


_TORCHVISION = (
    [
        (r'^features\.0\.0\.', 'patch_embed.proj.'),
        (r'^features\.0\.2\.', 'patch_embed.norm.'),
        (r'\.mlp\.0\.', '.mlp.fc1.'),
        (r'\.mlp\.3\.', '.mlp.fc2.'),
    ],
    [(r'^features\.(\d+)\.', _numbered)],
)


def microsoft_to_mmdet(weights: Weights) -> Weights:
    """Rename the weights of a Swin Transformer and permute patch merging.

    Args:
        weights: the weights under the names of Microsoft's classification
            or detection code, without a prefix (``layers.0.blocks...``).

    Returns:
        The weights under mmdet's names; unknown names are unchanged.

    Raises:
        ValueError: a patch merging does not join four positions.
    """
    renamed = {}
    for name, value in weights.items():
        if _MERGING.match(name):
            value = _merging_to_unfold(name, value)
        elif name == 'absolute_pos_embed' and value.dim() == 4:
            value = value.flatten(2).transpose(1, 2).contiguous()
        renamed[substituted(name, *_MICROSOFT)] = value
    return renamed


def _merging_to_unfold(name: str, weight: Tensor) -> Tensor:
    """Reorder the inputs of patch merging, (..., 4 * C), to mmdet's order."""
    if weight.dim() not in (1, 2) or weight.shape[-1] % 4:
        raise UserValueError(
            f'{name} has shape {tuple(weight.shape)}; expected a last '
            f'dimension of 4 * channels, for patch merging of 2 x 2 positions'
        )
    blocks = weight.unflatten(-1, (2, 2, -1))  # column, row, channel
    return blocks.movedim(-1, -3).transpose(-1, -2).flatten(-3).contiguous()


def _merges_late(weights: Weights) -> bool:
    """Tell timm's Swins: patch merging begins a stage, but not the first."""
    stages = {match[1] for name in weights if (match := _LATE.match(name))}
    return bool(stages) and '0' not in stages


def _microsoft(weights: Weights, names: Set[str]) -> Weights | None:
    return None if _merges_late(weights) else microsoft_to_mmdet(weights)


def _timm(weights: Weights, names: Set[str]) -> Weights | None:
    if not _merges_late(weights):
        return None
    rules = [
        (_LATE.pattern, lambda m: f'layers.{int(m[1]) - 1}.downsample.'),
        # With features_only, timm joins the names of submodules by `_`.
        (r'^layers_(\d+)\.', r'layers.\1.'),
    ]
    return microsoft_to_mmdet(
        {substituted(name, rules): value for name, value in weights.items()}
    )


def _torchvision(weights: Weights, names: Set[str]) -> Weights:
    return microsoft_to_mmdet(
        {substituted(n, *_TORCHVISION): value for n, value in weights.items()}
    )


_BLOCK = 'layers.0.blocks.0.attn.qkv.weight'
MICROSOFT_SWIN = Layout("Microsoft's Swin", (_BLOCK,), _microsoft)
TIMM_SWIN = Layout("timm's Swin", (_BLOCK, _BLOCK.replace('.', '_', 1)), _timm)
TORCHVISION_SWIN = Layout(
    "torchvision's Swin", ('features.1.0.attn.qkv.weight',), _torchvision
)
