"""efficientnet_pytorch's names, turned into timm's.

efficientnet_pytorch numbers all blocks in one row (``_blocks.N``), and a
block without expansion lacks ``_expand_conv`` and ``_bn0``.  timm numbers
blocks by stage (``blocks.S.B``) and the layers of a block in order.
"""

import re
from collections.abc import Set

from .base import Layout, Weights

_OUTER = {
    '_conv_stem': 'conv_stem',
    '_bn0': 'bn1',
    '_conv_head': 'conv_head',
    '_bn1': 'bn2',
    '_fc': 'classifier',
}
_EXPANDED = {
    '_expand_conv': 'conv_pw',
    '_bn0': 'bn1',
    '_depthwise_conv': 'conv_dw',
    '_bn1': 'bn2',
    '_project_conv': 'conv_pwl',
    '_bn2': 'bn3',
}
_PLAIN = {
    '_depthwise_conv': 'conv_dw',
    '_bn1': 'bn1',
    '_project_conv': 'conv_pw',
    '_bn2': 'bn2',
}


def _rename(weights: Weights, names: Set[str]) -> Weights:
    matches = [re.match(r'blocks\.(\d+)\.(\d+)\.', name) for name in names]
    blocks = sorted({(int(m[1]), int(m[2])) for m in matches if m})
    renamed = {}
    for name, value in weights.items():
        first, *rest = name.split('.')
        if first in _OUTER:
            name = '.'.join([_OUTER[first], *rest])
        elif match := re.match(r'_blocks\.(\d+)\.(\w+)\.(\w+)$', name):
            n, layer, leaf = int(match[1]), match[2], match[3]
            expanded = f'_blocks.{n}._expand_conv.weight' in weights
            layers = _EXPANDED if expanded else _PLAIN
            if n < len(blocks) and layer in layers:
                stage, block = blocks[n]
                name = f'blocks.{stage}.{block}.{layers[layer]}.{leaf}'
        renamed[name] = value
    return renamed


EFFICIENTNET_PYTORCH = Layout(
    "efficientnet_pytorch's names", ('_conv_stem.weight',), _rename
)
