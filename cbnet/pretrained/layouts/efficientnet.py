"""efficientnet_pytorch's names, turned into timm's.

There, blocks are numbered through (``_blocks.N``) and a block without
expansion lacks ``_expand_conv`` and ``_bn0``; timm numbers by stage and block
(``blocks.S.B``) and numbers a block's layers in order.
"""

import re
from collections.abc import Set

from .base import Layout, Weights

_THEIRS = (
    '_expand_conv',
    '_bn0',
    '_depthwise_conv',
    '_bn1',
    '_project_conv',
    '_bn2',
)
_EXPANDED = ('conv_pw', 'bn1', 'conv_dw', 'bn2', 'conv_pwl', 'bn3')
_PLAIN = (None, None, 'conv_dw', 'bn1', 'conv_pw', 'bn2')
_OUTER = {
    '_conv_stem': 'conv_stem',
    '_bn0': 'bn1',
    '_conv_head': 'conv_head',
    '_bn1': 'bn2',
    '_fc': 'classifier',
}


def _rename(weights: Weights, names: Set[str]) -> Weights:
    positions = sorted(
        {
            (int(match[1]), int(match[2]))
            for name in names
            if (match := re.match(r'blocks\.(\d+)\.(\d+)\.', name))
        }
    )
    renamed = {}
    for name, value in weights.items():
        first, *rest = name.split('.')
        if first in _OUTER:
            name = '.'.join([_OUTER[first], *rest])
        elif match := re.match(r'_blocks\.(\d+)\.(\w+)\.(\w+)$', name):
            n, theirs = int(match[1]), match[2]
            expanded = f'_blocks.{n}._expand_conv.weight' in weights
            ours = dict(
                zip(_THEIRS, _EXPANDED if expanded else _PLAIN, strict=True)
            )
            if n < len(positions) and ours.get(theirs):
                stage, block = positions[n]
                name = f'blocks.{stage}.{block}.{ours[theirs]}.{match[3]}'
        renamed[name] = value
    return renamed


EFFICIENTNET_PYTORCH = Layout(
    "efficientnet_pytorch's names", ('_conv_stem.weight',), _rename
)
