"""The published recipes as a table, and the configs as plain dicts."""

from functools import cache
from pathlib import Path

import pytest
from mmengine.config import Config, ConfigDict

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / 'configs' / 'cbnet'
SGD = dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=0.0001)
STDS = [
    [0.1, 0.1, 0.2, 0.2],
    [0.05, 0.05, 0.1, 0.1],
    [0.033, 0.033, 0.067, 0.067],
]
COLUMNS = (
    'detector epochs steps images optimizer mixed augmentation tested '
    'heads agnostic member'
).split()
# A: long side 1600, short side 400 to 1400; C: DETR's; 800: 1333x800.
# Tested at 800: score from 0.05, NMS; at 1600: from 0.001, soft-NMS.
ROWS = """
r50                    FasterRCNN        12  8,11  2 SGD   no  800  800 2fc      no  r50
res2net101_dcn         CascadeRCNN       20 16,19  2 SGD   yes A   1600 2fc      yes r2
res2net101_dcn_4conv1fc CascadeRCNN      20 16,19  2 SGD   yes A   1600 4conv1fc no  r2
swin_t                 MaskRCNN          36 27,33  2 1e-4  yes C    800 2fc      no  t
swin_t_cascade         CascadeRCNN       36 27,33  2 1e-4  yes C    800 4conv1fc no  t
swin_s                 CascadeRCNN       36 27,33  1 5e-5  yes A   1600 4conv1fc no  s
swin_b_cascade         CascadeRCNN       36 27,33  1 5e-5  yes A   1600 4conv1fc no  b
swin_b_htc             HybridTaskCascade 20 16,19  1 5e-5  yes A   1600 2fc      yes b
swin_b                 HybridTaskCascade 20 16,19  1 5e-5  yes A   1600 4conv1fc yes b
swin_l                 HybridTaskCascade 12  8,11  1 5e-5  yes A   1600 4conv1fc yes l
"""  # noqa: E501
RECIPES = {
    name: dict(zip(COLUMNS, values, strict=True))
    for name, *values in map(str.split, ROWS.strip().splitlines())
}
#: channels, depths, heads, drop path, ImageNet file
SWINS = {
    't': (96, 6, 3, 0.2, 'swin_tiny_patch4_window7_224.pth'),
    's': (96, 18, 3, 0.2, 'swin_small_patch4_window7_224.pth'),
    'b': (128, 18, 4, 0.3, 'swin_base_patch4_window7_224_22k.pth'),
    'l': (192, 18, 6, 0.2, 'swin_large_patch4_window7_224_22k.pth'),
}
MASKED = [
    name for name in RECIPES if RECIPES[name]['member'] not in ('r50', 'r2')
]
HTC = [n for n in RECIPES if RECIPES[n]['detector'] == 'HybridTaskCascade']


@cache
def load(name):
    """Read a config once for all tests, which must not change it."""
    return Config.fromfile(CONFIGS / f'{name}.py')


@cache
def read(name):
    """Return the content of a config, for comparisons."""
    return ConfigDict(without_scopes(load(name).to_dict()))


def without_scopes(node):
    """Remove the scopes that mmengine adds to settings from other packages."""
    if isinstance(node, dict):
        return {
            key: without_scopes(value)
            for key, value in node.items()
            if key != '_scope_'
        }
    if isinstance(node, list):
        return [without_scopes(value) for value in node]
    return node


def pretrained(row):
    if row['member'] in SWINS:
        return f'/v1.0.0/{SWINS[row["member"]][-1]}'
    names = dict(r50='resnet50', r2='res2net101_v1d_26w_4s')
    return f'://{names[row["member"]]}'


def where(**values):
    """Parametrize a test with the models whose recipes have these values."""
    names = [
        name
        for name, row in RECIPES.items()
        if all(row[column] in one for column, one in values.items())
    ]
    assert names
    return pytest.mark.parametrize('name', names)


each = where()
swins = where(member=SWINS)
cnns = where(member=['r50', 'r2'])
htc = where(detector=['HybridTaskCascade'])
single_stage = where(detector=['FasterRCNN', 'MaskRCNN'])
cascades = where(detector=['CascadeRCNN', 'HybridTaskCascade'])


def model_of(name):
    return read(f'dual_{name}').model
