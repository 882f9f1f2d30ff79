"""Names in pretrained files: found by looking at the keys, then renamed."""

import re
from collections.abc import Mapping, Set
from typing import Any

from torch import Tensor


def strip_wrappers(
    file: Mapping[str, Any], prefix: str | None = None
) -> dict[str, Tensor]:
    """Find the weights inside a loaded file.

    Args:
        file: what the file holds: weights, or a dict with the weights under
            ``state_dict`` or ``model``.
        prefix: keep only the names under it, without it (for example
            ``'backbone.'``).

    Returns:
        Name to tensor, without ``module.`` of DataParallel.

    Raises:
        ValueError: where there are no tensors, or none under ``prefix``.
    """
    for key in ('state_dict', 'model'):
        if isinstance(file.get(key), Mapping):
            file = file[key]
            break
    weights = {k: v for k, v in file.items() if isinstance(v, Tensor)}
    if weights and all(name.startswith('module.') for name in weights):
        weights = {k.removeprefix('module.'): v for k, v in weights.items()}
    if prefix:
        prefix = prefix.rstrip('.') + '.'
        weights = {
            name.removeprefix(prefix): value
            for name, value in weights.items()
            if name.startswith(prefix)
        }
    if not weights:
        under = f' under {prefix!r}' if prefix else ''
        raise ValueError(f'the checkpoint holds no weights{under}')
    return weights


def to_backbone_names(
    weights: dict[str, Tensor], complete: Set[str]
) -> dict[str, Tensor]:
    """Rename a file's weights to the names that a backbone uses.

    Args:
        weights: name to tensor, as in the file.
        complete: the backbone's state-dict names.

    Returns:
        The same tensors; names of an unknown layout are left alone.
    """
    if '_conv_stem.weight' in weights:
        weights = _efficientnet_pytorch(weights, complete)
    if all(name.startswith('model.') for name in complete) and not any(
        name in complete for name in weights
    ):  # timm's own names, one level down in TimmBackbone
        weights = {f'model.{name}': value for name, value in weights.items()}
    return weights


def _efficientnet_pytorch(
    weights: dict[str, Tensor], complete: Set[str]
) -> dict[str, Tensor]:
    """Turn efficientnet_pytorch's names into timm's.

    There, blocks are numbered through (``_blocks.N``) and a block without
    expansion lacks ``_expand_conv``/``_bn0``; timm numbers by stage and
    block (``blocks.S.B``) and numbers a block's layers in order.
    """
    positions = sorted(
        {
            (int(match[1]), int(match[2]))
            for name in complete
            if (match := re.match(r'model\.blocks\.(\d+)\.(\d+)\.', name))
        }
    )
    inner = {
        True: ('conv_pw', 'bn1', 'conv_dw', 'bn2', 'conv_pwl', 'bn3'),
        False: (None, None, 'conv_dw', 'bn1', 'conv_pw', 'bn2'),
    }
    theirs = (
        '_expand_conv',
        '_bn0',
        '_depthwise_conv',
        '_bn1',
        '_project_conv',
        '_bn2',
    )
    outer = {
        '_conv_stem': 'conv_stem',
        '_bn0': 'bn1',
        '_conv_head': 'conv_head',
        '_bn1': 'bn2',
        '_fc': 'classifier',
    }
    renamed = {}
    for name, value in weights.items():
        first, *rest = name.split('.')
        if first == '_blocks' and int(rest[0]) < len(positions):
            n, layer, tail = int(rest[0]), rest[1], rest[2]
            expanded = f'_blocks.{n}._expand_conv.weight' in weights
            layer = inner[expanded][theirs.index(layer)]
            stage, block = positions[n]
            name = f'blocks.{stage}.{block}.{layer}.{tail}'
        elif first in outer:
            name = '.'.join([outer[first], *rest])
        renamed[name] = value
    return renamed
