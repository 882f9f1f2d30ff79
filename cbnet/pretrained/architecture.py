"""Describe the architecture of a backbone from its names and shapes."""

import re
from collections.abc import Iterable, Iterator, Mapping

from torch import Tensor

from ..messages import listed
from .search import candidates

# Patterns of names, in mmdet's form or timm's; the first match counts.
_KINDS = (
    (r'\.attn\.w_msa\.logit_scale$', 'a Swin V2'),
    (r'\.attn\.w_msa\.', 'a Swin'),
    (r'(^|\.)layer1\.0\.convs\.0\.', 'a Res2Net'),
    (r'(^|\.)layer1\.0\.conv2\.fc1\.', 'a ResNeSt'),
    (r'(^|\.)layer1\.0\.conv3\.', 'a ResNet of bottlenecks'),
    (r'(^|\.)layer1\.0\.conv1\.', 'a ResNet of basic blocks'),
    (r'(^|\.)res2\.0\.conv1\.weight$', "a ResNet in detectron2's names"),
    (r'(^|\.)cls_token$', 'a plain vision transformer'),
    (r'(^|\.)downsample_layers\.0\.', 'a ConvNeXt in its own names'),
    (r'(^|\.)stages\.0\.blocks\.0\.conv_dw\.', 'a ConvNeXt of timm'),
    (r'(^|\.)stages\.0\.blocks\.0\.aggregation\.0\.', 'an HGNet'),
    (r'(^|\.)blocks\.0\.0\.conv_dw\.', 'an EfficientNet or the like of timm'),
    (r'(^|\.)_blocks\.0\._', 'an EfficientNet of efficientnet_pytorch'),
)
_BLOCK = r'(?:^|\.)(?:stages\.|layers?\.?)(\d+)\.(?:blocks\.)?(\d+)\.'


def describe(
    names: Iterable[str], weights: Mapping[str, Tensor]
) -> str | None:
    """Describe a backbone by all its names and the weights that are known.

    For example ``'a Swin with depths (2, 2, 6, 2), 96 channels, windows of
    7'``; None means that the architecture is unknown.
    """
    names = list(names)
    for pattern, kind in _KINDS:
        if any(re.search(pattern, name) for name in names):
            depths = stage_depths(names)
            text = f'{kind} with depths {depths}' if depths else kind
            return ', '.join([text, *_details(names, weights)])
    return None


def describe_file(flat: dict[str, Tensor]) -> str:
    """Describe the architecture in a file, from all its tensors."""
    renamed = (found.weights for found in candidates(flat, frozenset()))
    for weights in (*renamed, flat):
        if text := describe(weights, weights):
            return text
    return f'unknown weights ({listed(flat, 3)})'


def stage_depths(names: Iterable[str]) -> tuple[int, ...]:
    """Count the blocks of each stage by the names of a backbone."""
    blocks: dict[int, int] = {}
    for name in names:
        if match := re.search(_BLOCK, name):
            stage, block = int(match[1]), int(match[2])
            blocks[stage] = max(blocks.get(stage, 0), block + 1)
    return tuple(blocks[stage] for stage in sorted(blocks))


def _details(names: list[str], weights: Mapping[str, Tensor]) -> Iterator[str]:
    if any(re.search(r'(^|\.)(stem|conv1)\.3\.weight$', n) for n in names):
        yield 'deep stem'
    if any('.conv_offset.' in name for name in names):
        yield 'deformable convolutions'
    for pattern, text, measure in (
        (r'patch_embed\.projection\.weight$', '{} channels', len),
        (
            r'\.relative_position_bias_table$',
            'windows of {}',
            lambda table: int(len(table) ** 0.5 + 1) // 2,
        ),
        # A member that shares stages still has the last one.
        (r'layer4\.0\.conv1\.weight$', '{} channels in layer4', len),
    ):
        for name, weight in weights.items():
            if re.search(pattern, name):
                yield text.format(measure(weight))
                break
