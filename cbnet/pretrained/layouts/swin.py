"""Layouts of Swin Transformers, all turned into mmdet's names."""

import re
from collections.abc import Set

from ..swin_names import microsoft_to_mmdet
from .base import Layout, Weights, substituted

_LATE = re.compile(r'^layers\.(\d+)\.downsample\.')
_TORCHVISION = (
    (r'^features\.0\.0\.', 'patch_embed.proj.'),
    (r'^features\.0\.2\.', 'patch_embed.norm.'),
    (r'\.mlp\.0\.', '.mlp.fc1.'),
    (r'\.mlp\.3\.', '.mlp.fc2.'),
)


def _microsoft(weights: Weights, names: Set[str]) -> Weights | None:
    """Patch merging ends a stage: the first one has it."""
    if _merges_late(weights):
        return None
    return microsoft_to_mmdet(weights)


def _timm(weights: Weights, names: Set[str]) -> Weights | None:
    """Patch merging begins a stage: the first one has none."""
    # Where timm returns features, it joins names of submodules by `_`.
    weights = substituted(weights, [(r'^layers_(\d+)\.', r'layers.\1.')])
    if not _merges_late(weights):
        return None
    moved = {
        _LATE.sub(
            lambda match: f'layers.{int(match[1]) - 1}.downsample.', name
        ): value
        for name, value in weights.items()
    }
    return microsoft_to_mmdet(moved)


def _merges_late(weights: Weights) -> bool:
    stages = {match[1] for name in weights if (match := _LATE.match(name))}
    return bool(stages) and '0' not in stages


def _torchvision(weights: Weights, names: Set[str]) -> Weights:
    """Blocks and patch merging are numbered through, from 1."""
    weights = substituted(weights, _TORCHVISION)
    named = {}
    for name, value in weights.items():
        if match := re.match(r'^features\.(\d+)\.(.+)$', name):
            stage, merging = divmod(int(match[1]) - 1, 2)
            inner = 'downsample' if merging else 'blocks'
            name = f'layers.{stage}.{inner}.{match[2]}'
        named[name] = value
    return microsoft_to_mmdet(named)


_BLOCK = 'layers.0.blocks.0.attn.qkv.weight'
MICROSOFT_SWIN = Layout("Microsoft's Swin", (_BLOCK,), _microsoft)
TIMM_SWIN = Layout("timm's Swin", (_BLOCK, _BLOCK.replace('.', '_', 1)), _timm)
TORCHVISION_SWIN = Layout(
    "torchvision's Swin", ('features.1.0.attn.qkv.weight',), _torchvision
)
