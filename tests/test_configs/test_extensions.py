"""Composites of other detectors, and variants of one for ablations.

1. An extension builds, and differs from the plain config that it is named
   after in its backbone, its assistance, and the rate of the connections.
2. An ablation builds, has at most eight lines, and differs from
   dual_r50_mask.py in the keys that its name says.
"""

from pathlib import Path
from types import SimpleNamespace

import pytest
from mmengine.config import Config
from torch import nn

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
#: what else differs from the plain config: its file of weights is a single
#: detector's, and recomputing needs another package
OWN = dict(
    dual_grounding_dino_swin_t=['load_from', 'model.encoder.num_cp'],
    dual_mask2former_r50_vis=[
        'model.init_cfg',
        'model.init_cfg.type',
        'model.init_cfg.checkpoint',
    ],
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


class TextModel(nn.Module):
    """Stands for BERT, which needs another package and its files."""

    language_backbone = SimpleNamespace(body=SimpleNamespace(language_dim=8))


@pytest.mark.parametrize('path', EXTENSIONS, ids=stem)
def test_extension(path, tmp_path):
    cfg = Config.fromfile(path)
    base = cfg.text.split('mmdet::')[1].split('.py')[0].replace("'\n    '", '')
    (tmp_path / 'plain.py').write_text(f"_base_ = 'mmdet::{base}.py'")
    plain = Config.fromfile(tmp_path / 'plain.py')
    if 'language_model' in plain.model:
        for model in (cfg.model, plain.model):
            model.language_model = dict(type=TextModel)
    with on_meta():
        model = build_model(cfg.model)
    place = 'model.detector' if 'detector' in cfg.model else 'model'
    held = model.student if 'detector' in cfg.model else model
    assert held.backbone.num_members == 2
    assert held.assistant_weights == (0.5,)
    assert cfg.custom_imports.imports == ['cbnet']
    own, theirs = cfg.model, plain.model
    if place != 'model':
        own, theirs = own.detector, theirs.detector
    member = own.backbone.member
    if 'out_indices' in own.backbone:  # connections may read further stages
        assert own.backbone.pop('out_indices') == theirs.backbone.out_indices
        member.out_indices = theirs.backbone.out_indices
    assert member == theirs.backbone
    start = f'{place}.backbone.', f'{place}.assistance', 'custom_imports'
    found = {
        key
        for key in changed(cfg.to_dict(), plain.to_dict())
        if not key.startswith(start)
    }
    rate = 'optim_wrapper.paramwise_cfg.custom_keys.backbone.connections'
    slow = any('lr_mult' in key for key, _ in flat(plain.optim_wrapper))
    rates = {f'{rate}.lr_mult'} if slow else set()
    expected = {f'{place}.type', f'{place}.base'} | rates
    assert found == expected | set(OWN.get(path.stem, ()))


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
    assert len(EXTENSIONS) >= 16
    assert {path.stem.split('_')[0] for path in ABLATIONS} == set(KEYS)
