"""Composites of other detectors, and variants of one for ablations.

1. An extension builds, and differs from the plain config that it is named
   after in its backbone, its assistance, and the rate of the connections.
2. An ablation builds, has at most eight lines, and differs from
   dual_r50_mask.py in the keys that its name says.
"""

from pathlib import Path

import pytest
from mmengine.config import Config

from cbnet.models.building import on_meta
from cbnet.testing import build_model

from .test_single_twins import flat

CONFIGS = Path(__file__).parents[2] / 'configs'
# These have no plain twin in mmdet; tests/test_models has theirs.
VITS = 'vit', 'eva02_b', 'eva02_l'
EXTENSIONS = sorted(
    path
    for path in (CONFIGS / 'extensions').glob('dual_*.py')
    if path.stem.removeprefix('dual_') not in VITS
)
ABLATIONS = sorted((CONFIGS / 'ablations').glob('*.py'))
#: kind of an ablation -> the beginnings of the keys that it changes
KEYS = dict(
    style=['model.backbone.style'],
    members=['model.backbone.num_members', 'model.assistance.weights'],
    shared=['model.backbone.shared_stages'],
    assistance=['model.assistance.weights'],
    proposals=['model.assistance.proposals'],
    statistics=['model.assistance.lead_statistics', 'model.neck', 'norm_cfg'],
)


def stem(path):
    return path.stem


def read(path):
    return Config.fromfile(path).to_dict()


def changed(one, other):
    """Return the keys in which two configs differ."""
    one, other = dict(flat(one)), dict(flat(other))
    return {
        key.removesuffix('.len').strip('.')
        for key in one.keys() | other.keys()
        if one.get(key, '-') != other.get(key, '-')
    }


@pytest.mark.parametrize('path', EXTENSIONS, ids=stem)
def test_extension(path, tmp_path):
    cfg = Config.fromfile(path)
    base = next(
        line.split("'")[1]
        for line in path.read_text().splitlines()
        if 'mmdet::' in line
    )
    (tmp_path / 'plain.py').write_text(f"_base_ = '{base}'")
    plain = Config.fromfile(tmp_path / 'plain.py')
    with on_meta():
        model = build_model(cfg.model)
    assert model.backbone.num_members == 2
    assert model.assistant_weights == (0.5,)
    assert cfg.custom_imports.imports == ['cbnet']
    start = 'model.backbone.', 'model.assistance', 'custom_imports'
    found = {
        key
        for key in changed(cfg.to_dict(), plain.to_dict())
        if not key.startswith(start)
    }
    rate = 'optim_wrapper.paramwise_cfg.custom_keys.backbone.connections'
    slow = any('lr_mult' in key for key, _ in flat(plain.optim_wrapper))
    rates = {f'{rate}.lr_mult'} if slow else set()
    assert found == {'model.type', 'model.base'} | rates
    assert cfg.model.backbone.member == plain.model.backbone


@pytest.mark.parametrize('path', ABLATIONS, ids=stem)
def test_ablation(path):
    assert len(path.read_text().splitlines()) <= 8
    cfg = Config.fromfile(path)
    with on_meta():
        model = build_model(cfg.model)
    keys = KEYS[path.stem.split('_')[0]]
    found = changed(cfg.to_dict(), read(CONFIGS / 'cbnet/dual_r50_mask.py'))
    assert all(key.startswith(tuple(keys)) for key in found)
    assert all(any(name.startswith(key) for name in found) for key in keys)
    assert model.backbone.num_members == len(model.assistant_weights) + 1


def test_there_are_enough():
    assert len(EXTENSIONS) >= 13
    assert {path.stem.split('_')[0] for path in ABLATIONS} == set(KEYS)
