"""PaddleClas's ResNets and HGNets, such as those of SSLD.

The file is a converted one: safetensors, or a dict of arrays.  Paddle calls
the running statistics ``_mean`` and ``_variance``.  It stores the matrices
of linear layers transposed; only the classifier has one, and a backbone
ignores it.
"""

import re
from bisect import bisect_right
from collections.abc import Set

from .base import Layout, Weights, by_rules, renamed

_STATISTICS = [
    (r'\._mean$', '.running_mean'),
    (r'\._variance$', '.running_var'),
]
_SHORT = re.compile(r'blocks\.(\d+)\.short\.conv\.weight$')
# timm's names of mmdet's deep stem.
_TIMM_STEM = [(r'^stem\.7\.', 'bn1.'), (r'^stem\.(\d)\.', r'conv1.\1.')]


def _resnet(weights: Weights, names: Set[str]) -> Weights:
    """Rename a ResNet, whose blocks are counted through all stages.

    The first block of a stage has a projection, ``short``.  With a deep stem
    (``ResNet50_vd``), average pooling precedes the projection.
    """
    shorts = (match for name in weights if (match := _SHORT.match(name)))
    starts = sorted({int(match[1]) for match in shorts} | {0})
    deep = 'stem.1.conv.weight' in weights
    stem = [
        (r'^stem\.(\d)\.conv\.', lambda m: f'stem.{3 * int(m[1])}.'),
        (r'^stem\.(\d)\.bn\.', lambda m: f'stem.{3 * int(m[1]) + 1}.'),
    ]
    plain = [(r'^stem\.0\.conv\.', 'conv1.'), (r'^stem\.0\.bn\.', 'bn1.')]

    def block(match: re.Match[str]) -> str:
        number = int(match[1])
        stage = bisect_right(starts, number)
        return f'layer{stage}.{number - starts[stage - 1]}.'

    layers = [
        (r'\.short\.conv\.', f'.downsample.{int(deep)}.'),
        (r'\.short\.bn\.', f'.downsample.{int(deep) + 1}.'),
        (r'\.conv(\d)\.conv\.', lambda m: f'.conv{int(m[1]) + 1}.'),
        (r'\.conv(\d)\.bn\.', lambda m: f'.bn{int(m[1]) + 1}.'),
    ]
    return renamed(
        weights,
        _STATISTICS,
        [*(stem if deep else plain), *layers],
        [(r'^blocks\.(\d+)\.', block)],
        _TIMM_STEM if deep and 'conv1.0.weight' in names else [],
    )


PADDLE_RESNET = Layout(
    "PaddleClas's ResNet", ('blocks.0.conv0.conv.weight',), _resnet
)
PADDLE_HGNET = Layout(
    "PaddleClas's HGNet",
    (
        'stages.0.blocks.0.aggregation_conv.conv.weight',
        'stages.0.blocks.0.aggregation_squeeze_conv.conv.weight',
    ),
    by_rules(
        _STATISTICS,
        [
            (r'^stem\.(\d)\.', r'stem.stem.\1.'),
            (r'\.aggregation(_squeeze)?_conv\.', '.aggregation.0.'),
            (r'\.aggregation_excitation_conv\.', '.aggregation.1.'),
            (r'\.att\.conv\.', '.aggregation.1.conv.'),
        ],
    ),
)
