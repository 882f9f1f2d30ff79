"""Describe the architecture of a backbone from its names and shapes."""

import re
from collections.abc import Iterable, Mapping

from torch import Tensor

from .search import known_layouts, under

_SWIN = 'stages.0.blocks.0.attn.w_msa.qkv.weight'
_RESNET = 'layer1.0.conv1.weight'
# Patterns that occur in the names of other architectures.
_OTHERS = (
    (r'(^|\.)cls_token$', 'a plain vision transformer'),
    (r'(^|\.)res2\.0\.conv1\.weight$', "a ResNet in detectron2's names"),
    (r'(^|\.)downsample_layers\.0\.', 'a ConvNeXt in its own names'),
    (r'(^|\.)stages\.0\.blocks\.0\.conv_dw\.', 'a ConvNeXt of timm'),
    (r'(^|\.)blocks\.0\.0\.conv_dw\.', 'an EfficientNet or the like of timm'),
    (r'(^|\.)_blocks\.0\._', 'an EfficientNet of efficientnet_pytorch'),
)


def describe(
    names: Iterable[str], weights: Mapping[str, Tensor]
) -> str | None:
    """Describe a backbone.

    Args:
        names: the names of its weights, in mmdet's or timm's form.
        weights: the tensors that are known for some of the names.

    Returns:
        For example ``'a Swin with depths (2, 2, 6, 2), ...'``; None for an
        unknown architecture.
    """
    names = set(names)
    if _SWIN in names:
        return _describe_swin(names, weights)
    if _RESNET in names:
        return _describe_resnet(names, weights)
    for pattern, text in _OTHERS:
        if any(re.search(pattern, name) for name in names):
            return text
    return None


def describe_file(flat: dict[str, Tensor]) -> str:
    """Describe the architecture in a file, from all its tensors."""
    parts = [found.weights for found in known_layouts(flat, frozenset())]
    parts += [
        under(flat, name.removesuffix(anchor))
        for anchor in (_SWIN, _RESNET)
        for name in flat
        if f'.{name}'.endswith(f'.{anchor}')
    ]
    for weights in (*parts, flat):
        if text := describe(weights, weights):
            return text
    return f'unknown weights ({", ".join(list(flat)[:3])}, ...)'


def stage_depths(names: Iterable[str], pattern: str) -> tuple[int, ...]:
    """Count the blocks of each stage.

    Args:
        names: the names of a backbone's weights.
        pattern: a regular expression for the beginning of a name, with the
            numbers of stage and block as groups.
    """
    blocks: dict[int, int] = {}
    for name in names:
        if match := re.match(pattern, name):
            stage, block = int(match[1]), int(match[2])
            blocks[stage] = max(blocks.get(stage, 0), block + 1)
    return tuple(blocks[stage] for stage in sorted(blocks))


def _describe_swin(names: set[str], weights: Mapping[str, Tensor]) -> str:
    two = any(name.endswith('.logit_scale') for name in names)
    depths = stage_depths(names, r'stages\.(\d+)\.blocks\.(\d+)\.')
    text = f'a Swin{" V2" if two else ""} with depths {depths}'
    if (first := weights.get('patch_embed.projection.weight')) is not None:
        text += f', {first.shape[0]} channels'
    for name, value in weights.items():
        if name.endswith('.relative_position_bias_table'):
            window = int(value.shape[0] ** 0.5 + 1) // 2
            return f'{text}, windows of {window}'
    return text


def _describe_resnet(names: set[str], weights: Mapping[str, Tensor]) -> str:
    depths = stage_depths(names, r'layer(\d+)\.(\d+)\.')
    if 'layer1.0.convs.0.weight' in names:
        kind = 'Res2Net'
    elif 'layer1.0.conv2.fc1.weight' in names:
        kind = 'ResNeSt'
    elif 'layer1.0.conv3.weight' in names:
        kind = 'ResNet of bottlenecks'
    else:
        kind = 'ResNet of basic blocks'
    text = f'a {kind} with {depths} blocks'
    if 'stem.0.weight' in names or 'conv1.0.weight' in names:
        text += ', deep stem'
    if any('.conv_offset.' in name for name in names):
        text += ', deformable convolutions'
    # A member that shares stages still has its last one.
    for stage in (4, 3, 2, 1):
        if (first := weights.get(f'layer{stage}.0.conv1.weight')) is not None:
            return f'{text}, {first.shape[0]} channels in layer{stage}'
    return text
