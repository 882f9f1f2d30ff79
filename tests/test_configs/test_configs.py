"""The configs build.

1. Each has at most 40 lines and builds its detector.
2. A single-member twin has the state-dict names of the plain detector, with
   the backbone one level deeper.
"""

from pathlib import Path

import pytest
from mmengine.config import Config

from cbnet.config_files import find_config
from cbnet.models.building import on_meta
from cbnet.testing import build_model

from .published_recipes import load

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / 'configs' / 'cbnet').glob('*.py'))
FILES = sorted((ROOT / 'configs').rglob('*.py'))


def relative(path):
    return str(path.relative_to(ROOT))


def test_there_are_configs():
    assert len(CONFIGS) >= 6


@pytest.mark.parametrize('path', FILES, ids=relative)
def test_at_most_40_lines(path):
    assert len(path.read_text().splitlines()) <= 40


@pytest.mark.parametrize('path', CONFIGS, ids=relative)
def test_builds(path):
    cfg = load(path.stem)
    with on_meta():
        model = build_model(cfg.model)
    members = 1 if path.stem.startswith('single_') else 2
    assert model.backbone.num_members == members
    assert len(model.assistant_weights) == members - 1
    assert 'cbnet' in cfg.custom_imports.imports


@pytest.mark.parametrize('name', ['r50', 'r50_mask'])
def test_single_twin_is_the_plain_detector(name):
    single = load(f'single_{name}').model
    base = 'mask' if name.endswith('mask') else 'faster'
    path = find_config(f'mmdet::_base_/models/{base}-rcnn_r50_fpn.py')
    plain = Config.fromfile(path).model
    with on_meta():
        plain, single = build_model(plain), build_model(single)
    expected = set(plain.state_dict())
    found = {
        key.replace('backbone.members.0.', 'backbone.')
        for key in single.state_dict()
    }
    assert found == expected
