"""Layouts of the ResNet family, turned into mmdet's names.

The ResNets, ResNeXts, Res2Nets and ResNeSts of torchvision, timm and
mmpretrain with a plain stem already have mmdet's names.
"""

from .base import Layout, by_rules

DEEP_STEM = Layout(
    "timm's deep stem",
    ('conv1.0.weight',),
    by_rules([(r'^conv1\.(\d)\.', r'stem.\1.'), (r'^bn1\.', 'stem.7.')]),
)
SEQUENTIAL = Layout(
    'children in a Sequential',
    ('4.0.conv1.weight',),
    by_rules(
        [
            (r'^0\.', 'conv1.'),
            (r'^1\.', 'bn1.'),
            (r'^([4-7])\.', lambda match: f'layer{int(match[1]) - 3}.'),
        ]
    ),
)
SIMCLR_V2 = Layout(
    'SimCLRv2, converted from TensorFlow',
    ('net.1.blocks.0.net.0.weight',),
    by_rules(
        [
            (r'^net\.0\.0\.', 'conv1.'),
            (r'^net\.0\.1\.0\.', 'bn1.'),
            (r'\.projection\.shortcut\.', '.downsample.0.'),
            (r'\.projection\.bn\.0\.', '.downsample.1.'),
            # A block is a row of convolutions, each followed by its norm.
            (r'\.net\.([024])\.', lambda m: f'.conv{int(m[1]) // 2 + 1}.'),
            (r'\.net\.([135])\.0\.', lambda m: f'.bn{int(m[1]) // 2 + 1}.'),
        ],
        [(r'^net\.([1-4])\.blocks\.', r'layer\1.')],
    ),
)
TIMM_REGNET = Layout(
    "timm's RegNet",
    ('s1.b1.conv1.conv.weight',),
    by_rules(
        [
            (r'\.conv(\d)\.conv\.', r'.conv\1.'),
            (r'\.conv(\d)\.bn\.', r'.bn\1.'),
            (r'\.downsample\.conv\.', '.downsample.0.'),
            (r'\.downsample\.bn\.', '.downsample.1.'),
            (r'^stem\.conv\.', 'conv1.'),
            (r'^stem\.bn\.', 'bn1.'),
        ],
        # timm counts blocks from 1, mmdet from 0.
        [(r'^s(\d)\.b(\d+)\.', lambda m: f'layer{m[1]}.{int(m[2]) - 1}.')],
    ),
)
TORCHVISION_REGNET = Layout(
    "torchvision's RegNet",
    ('trunk_output.block1.block1-0.f.a.0.weight',),
    by_rules(
        [
            (r'\.proj\.', '.downsample.'),
            (r'\.f\.([abc])\.0\.', lambda m: f'.conv{" abc".index(m[1])}.'),
            (r'\.f\.([abc])\.1\.', lambda m: f'.bn{" abc".index(m[1])}.'),
            (r'^stem\.0\.', 'conv1.'),
            (r'^stem\.1\.', 'bn1.'),
        ],
        [(r'^trunk_output\.block(\d)\.block\d-(\d+)\.', r'layer\1.\2.')],
    ),
)
