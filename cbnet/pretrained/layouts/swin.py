"""Layouts of Swin Transformers, all turned into mmdet's names.

timm's and torchvision's names become Microsoft's, and mmdet's own converter
turns these into mmdet's and permutes patch merging, which joins the C
channels of 2 x 2 positions.  Microsoft's code joins blocks of C channels, in
the order (row, column) = (0, 0), (1, 0), (0, 1), (1, 1).  mmdet's uses
``nn.Unfold``, which lists the four positions of each channel, row by row.
Without the permutation, a file would load without an error but compute
something else.
"""

import re
from collections.abc import Set

from mmdet.models.backbones.swin import swin_converter

from ...errors import UserValueError
from .base import Layout, Weights, renamed

_MERGING = re.compile(r'^layers\.\d+\.downsample\.(reduction|norm)\.')
_DIMENSIONS = {'reduction': 2, 'norm': 1}
_LATE = re.compile(r'^layers[._](\d+)\.downsample\.')
_TIMM = (
    # timm begins a stage with its patch merging, Microsoft ends one with it.
    (_LATE.pattern, lambda m: f'layers.{int(m[1]) - 1}.downsample.'),
    # With features_only, timm joins the names of submodules by `_`.
    (r'^layers_(\d+)\.', r'layers.\1.'),
)


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
            Absolute positions may have the shape (1, C, H, W).

    Returns:
        The weights under mmdet's names; unknown names are unchanged.
        Absolute positions have the shape (1, H * W, C).

    Raises:
        ValueError: a patch merging does not join four positions.
    """
    for name, value in weights.items():
        merging = _MERGING.match(name)
        if merging and (
            value.dim() != _DIMENSIONS[merging[1]] or value.shape[-1] % 4
        ):
            raise UserValueError(
                f'{name} has shape {tuple(value.shape)}; expected a last '
                f'dimension of 4 * channels, for patch merging of 2 x 2 '
                f'positions'
            )
    # mmdet's converter adds a prefix and drops the classifier.
    ours = {
        name.removeprefix('backbone.'): value
        for name, value in swin_converter(weights).items()
    } | {n: w for n, w in weights.items() if n.startswith('head')}
    positions = ours.get('absolute_pos_embed')
    if positions is not None and positions.dim() == 4:
        positions = positions.flatten(2).transpose(1, 2).contiguous()
        ours['absolute_pos_embed'] = positions
    return ours


def _merges_late(weights: Weights) -> bool:
    """Tell timm's Swins: patch merging begins a stage, but not the first."""
    stages = {match[1] for name in weights if (match := _LATE.match(name))}
    return bool(stages) and '0' not in stages


def _microsoft(weights: Weights, names: Set[str]) -> Weights | None:
    return None if _merges_late(weights) else microsoft_to_mmdet(weights)


def _timm(weights: Weights, names: Set[str]) -> Weights | None:
    if not _merges_late(weights):
        return None
    return microsoft_to_mmdet(renamed(weights, _TIMM))


def _torchvision(weights: Weights, names: Set[str]) -> Weights:
    return microsoft_to_mmdet(renamed(weights, *_TORCHVISION))


_BLOCK = 'layers.0.blocks.0.attn.qkv.weight'
MICROSOFT_SWIN = Layout("Microsoft's Swin", (_BLOCK,), _microsoft)
TIMM_SWIN = Layout("timm's Swin", (_BLOCK, _BLOCK.replace('.', '_', 1)), _timm)
TORCHVISION_SWIN = Layout(
    "torchvision's Swin", ('features.1.0.attn.qkv.weight',), _torchvision
)
