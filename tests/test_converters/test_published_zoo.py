"""Every published detector is recognised, converted and strictly loaded.

On the meta device, at full size:

1. under published names, the config's detector has exactly the names and
   shapes of the published backbone, neck and heads;
2. the converter finds the config by the keys; all names and shapes load
   strictly into it, and the dead entries are dropped;
3. models without a config, and files that are no published composite, are
   told apart by their keys.
"""

import gzip
import json
import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from cbnet.checkpoints.fit import load_strictly
from cbnet.converters import convert_published
from cbnet.converters.published_models import CONFIGS, recognise
from cbnet.models.building import build_without_weights

from .published_layout import publish

TESTS = Path(__file__).parents[1]
KEYS = json.loads(
    gzip.decompress((TESTS / 'data/published_keys.json.gz').read_bytes())
)
# config -> the list of its backbone's keys, and of its heads' kinds
PUBLISHED = {
    'dual_r50': 'r50_d1',
    'dual_res2net101_dcn': 'res2net101_dcn_d1',
    'dual_res2net101_dcn_4conv1fc': 'res2net101_dcn_d1',
    'dual_swin_t': 'swin_t_d1',
    'dual_swin_t_cascade': 'swin_t_d1',
    'dual_swin_s': 'swin_s_d1',
    'dual_swin_b_cascade': 'swin_b_d1',
    'dual_swin_b_htc': 'swin_b_d1',
    'dual_swin_b': 'swin_b_d1',
    'dual_swin_l': 'swin_l_d1',
}
NECK = {
    f'neck.{kind}.{i}.conv.{leaf}'
    for kind in ('lateral_convs', 'fpn_convs')
    for i in range(4)
    for leaf in ('weight', 'bias')
}
RPN = {
    f'rpn_head.{layer}.{leaf}'
    for layer in ('rpn_conv', 'rpn_cls', 'rpn_reg')
    for leaf in ('weight', 'bias')
}
HEADS = r'roi_head\.(bbox_head|mask_head|semantic_head)\.(.+)'


def build(config):
    cfg = Config.fromfile(TESTS.parent / f'configs/cbnet/{config}.py')
    return build_without_weights(cfg)


@pytest.mark.parametrize('config', PUBLISHED)
def test_a_published_detector(config):
    model = build(config)
    own = model.state_dict()
    published = publish(own)

    backbone = {
        name.removeprefix('backbone.'): list(value.shape)
        for name, value in published.items()
        if name.startswith('backbone.')
    }
    assert backbone == KEYS[f'cb_{PUBLISHED[config]}']
    rest = {n for n in published if not n.startswith('backbone.')}
    heads = {n for n in rest if n.startswith('roi_head.')}
    assert rest - heads == NECK | RPN
    assert all(re.match(HEADS, name) for name in heads)

    found = recognise(published)
    assert found.config == config
    assert found.semantic == ('swin_b' in config or 'swin_l' in config) & (
        'cascade' not in config
    )
    done = convert_published(published)
    dead = {n for n in published if n.startswith('backbone.cb_modules.1.bn1')}
    assert set(done.dropped) == dead
    assert bool(dead) == (config == 'dual_r50')
    assert len(done.permuted) == (18 if 'swin' in config else 0)
    fitted = load_strictly(done.weights, model, config)
    assert list(fitted) == list(own)
    assert {n: t.shape for n, t in fitted.items()} == {
        n: t.shape for n, t in own.items()
    }


@pytest.mark.parametrize(
    'config', [c for c in CONFIGS.values() if c not in PUBLISHED]
)
def test_a_config_without_a_published_file(config):
    assert recognise(publish(build(config).state_dict())).config == config


@pytest.mark.parametrize('size', ['b_htc', 'b', 'l'])
def test_htc_without_its_semantic_branch(size):
    config = f'dual_swin_{size}_without_semantic'
    found = recognise(publish(build(config).state_dict()))
    assert found.config == config
    assert 'without semantic branch' in str(found)


def named(*names, **shapes):
    weights = dict.fromkeys(names, torch.zeros(1))
    return weights | {n: torch.zeros(s) for n, s in shapes.items()}


def test_models_of_no_config():
    small = KEYS['cb_swin_t_d1']
    small = {
        f'backbone.{name}': torch.empty(shape, device='meta')
        for name, shape in small.items()
        if '.layers.2.blocks.5.' not in name
    }
    found = recognise(small)
    assert (found.detector, found.config) == (None, None)
    assert str(found) == (
        'a backbone without a detector, two members Swin (embed_dim 96, '
        'depths (2, 2, 5, 2))'
    )
    found = recognise(small | named('roi_head.bbox_head.fc_cls.weight'))
    assert (found.detector, found.config) == ('Faster R-CNN', None)
    cnn = named(
        'backbone.cb_modules.0.layer1.0.conv3.weight',
        'backbone.cb_modules.0.layer1.6.conv3.weight',
    )
    assert recognise(cnn).member == 'CNN (blocks (7,))'


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('backbone.members.0.conv1.weight', 'names of this package'),
        ('backbone.net.patch_embed.proj.weight', 'EVA'),
        ('backbone.layer1.0.conv1.weight', 'cbnet replicate-members'),
    ],
)
def test_no_published_composite(name, message):
    with pytest.raises(ValueError, match=f'found {name}.*{message}'):
        recognise(named(name))
