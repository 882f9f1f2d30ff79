"""Layouts of the ResNet family, turned into mmdet's names.

torchvision's, timm's and mmpretrain's ResNets, ResNeXts, Res2Nets and
ResNeSts with a plain stem have mmdet's names already.
"""

import re
from collections.abc import Set

from .base import Layout, Weights, substituted

_DEEP_STEM = ((r'^conv1\.(\d)\.', r'stem.\1.'), (r'^bn1\.', 'stem.7.'))
_SEQUENTIAL = (
    (r'^0\.', 'conv1.'),
    (r'^1\.', 'bn1.'),
    (r'^4\.', 'layer1.'),
    (r'^5\.', 'layer2.'),
    (r'^6\.', 'layer3.'),
    (r'^7\.', 'layer4.'),
)
_TIMM_REGNET_BLOCKS = (
    (r'\.conv(\d)\.conv\.', r'.conv\1.'),
    (r'\.conv(\d)\.bn\.', r'.bn\1.'),
    (r'\.downsample\.conv\.', '.downsample.0.'),
    (r'\.downsample\.bn\.', '.downsample.1.'),
    (r'^stem\.conv\.', 'conv1.'),
    (r'^stem\.bn\.', 'bn1.'),
)
_TORCHVISION_REGNET_BLOCKS = (
    (r'\.proj\.', '.downsample.'),
    *(
        (rf'\.f\.{letter}\.{i}\.', f'.{layer}{n}.')
        for n, letter in enumerate('abc', 1)
        for i, layer in enumerate(('conv', 'bn'))
    ),
    (r'^stem\.0\.', 'conv1.'),
    (r'^stem\.1\.', 'bn1.'),
)


def _deep_stem(weights: Weights, names: Set[str]) -> Weights:
    return substituted(weights, _DEEP_STEM)


def _sequential(weights: Weights, names: Set[str]) -> Weights:
    return substituted(weights, _SEQUENTIAL)


def _timm_regnet(weights: Weights, names: Set[str]) -> Weights:
    """Blocks count from 1 there, from 0 in mmdet's."""
    weights = substituted(weights, _TIMM_REGNET_BLOCKS)
    return {
        re.sub(
            r'^s(\d)\.b(\d+)\.',
            lambda match: f'layer{match[1]}.{int(match[2]) - 1}.',
            name,
        ): value
        for name, value in weights.items()
    }


def _torchvision_regnet(weights: Weights, names: Set[str]) -> Weights:
    weights = substituted(weights, _TORCHVISION_REGNET_BLOCKS)
    return substituted(
        weights,
        [(r'^trunk_output\.block(\d)\.block\d-(\d+)\.', r'layer\1.\2.')],
    )


DEEP_STEM = Layout("timm's deep stem", ('conv1.0.weight',), _deep_stem)
SEQUENTIAL = Layout(
    'children in a Sequential', ('4.0.conv1.weight',), _sequential
)
TIMM_REGNET = Layout(
    "timm's RegNet", ('s1.b1.conv1.conv.weight',), _timm_regnet
)
TORCHVISION_REGNET = Layout(
    "torchvision's RegNet",
    ('trunk_output.block1.block1-0.f.a.0.weight',),
    _torchvision_regnet,
)
