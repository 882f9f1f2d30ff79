"""The published layout of the ResNet family is converted.

1. golden values of the published ResNet and Res2Net composites, float64:
   converted and strictly loaded weights agree to 1e-9 relative to each map's
   largest value (backbone, what is added at each stage, FPN; odd sizes;
   training mode with the statistics that moved);
2. for every ``cb_del_stages``, a deep stem and a part of a state dict, names
   map one to one onto ours; only the dead stem norm is dropped, and the
   report names it;
3. names of no published composite are errors that say so.
"""

import pytest
import torch

from cbnet.converters import convert_published, convert_published_backbone
from cbnet.testing import build_model

from .published_cases import (
    added_by,
    agree,
    load_composite,
    part,
    read_cases,
    seeded_image,
    seeded_weights,
)

CASES = read_cases('published_backbones.json')
NECK = dict(
    type='FPN',
    in_channels=[256, 512, 1024, 2048],
    out_channels=32,
    num_outs=5,
)
# One more shared stage: the lead lacks layer2, and what is added there.
CASES['r50_d2_odd']['keys'] = {
    name: shape
    for name, shape in CASES['r50_d1_odd']['keys'].items()
    if not name.startswith(
        ('backbone.cb_modules.1.layer2.', 'backbone.cb_linears.1.', 'neck.')
    )
}


@pytest.mark.parametrize('name', CASES)
def test_golden_values(name):
    case = CASES[name]
    weights = seeded_weights(case['keys'], case['seed'])
    backbone = load_composite(case['backbone'], part(weights, 'backbone.'))
    # The published parameter count includes the lead's dead stem norm.
    dead = [
        shape[0]
        for key, shape in case['keys'].items()
        if key.startswith('backbone.cb_modules.1.bn1.')
        and key.endswith(('weight', 'bias'))
    ]
    ours = sum(p.numel() for p in backbone.parameters())
    assert ours + sum(dead) == case['params']

    backbone.train(case['mode'] == 'train')
    before = {k: v.clone() for k, v in backbone.state_dict().items()}
    added = added_by(backbone)
    with torch.no_grad():
        image = seeded_image(case['shape'], case['seed'])
        pyramids = backbone(image, all_members=True)
        found = {f'backbone.{k}': p for k, p in enumerate(pyramids)}
        if neck := part(weights, 'neck.'):
            fpn = build_model(NECK).double()
            fpn.load_state_dict(neck, strict=True)
            found |= {
                f'neck_train.{k}': fpn(p) for k, p in enumerate(pyramids)
            }
    maps = {f'{k}.{i}': y for k, ys in found.items() for i, y in enumerate(ys)}
    maps |= {f'cb_feats.{i}': y for i, y in added.items()}
    assert set(maps) == set(case['outputs'])
    for key, y in maps.items():
        agree(y, case['outputs'][key])

    moved = {
        key
        for key, value in backbone.state_dict().items()
        if key.endswith('running_mean') and not torch.equal(value, before[key])
    }
    published = dict.fromkeys(case.get('moved_stats', []), torch.zeros(1))
    assert moved == set(
        convert_published(part(published, 'backbone.')).weights
    )


def published_names(composite, dead_norm):
    """Undo the renaming, independently of the converter."""
    for name, value in composite.state_dict().items():
        kind, k, *rest = name.split('.')
        if kind == 'members':
            yield '.'.join(['cb_modules', k, *rest]), value
            continue
        source, _, target = rest[0].partition('_to_')
        layer = {'conv': '0', 'norm': '1'}[rest[1]]
        step = int(source) - int(target)
        yield f'cb_linears.{target}.{step}.{layer}.{rest[2]}', value
    if dead_norm:
        for leaf in ('weight', 'bias', 'running_mean', 'running_var'):
            yield f'cb_modules.1.bn1.{leaf}', torch.ones(64)


@pytest.mark.parametrize('prefix', ['', 'backbone.'])
@pytest.mark.parametrize('dropped', [-1, 0, 1, 2, 3, 4])
@pytest.mark.parametrize('deep_stem', [False, True])
def test_names_map_one_to_one(dropped, deep_stem, prefix):
    cfg = dict(
        type='CBResNet',
        depth=18,
        deep_stem=deep_stem,
        out_indices=(1, 3),
        cb_inplanes=[64, 64, 128, 256, 512],
        cb_del_stages=dropped,
    )
    composite = build_model(convert_published_backbone(cfg))
    assert composite.out_indices == (1, 3)
    dead_norm = dropped >= 0 and not deep_stem
    published = {
        prefix + k: v for k, v in published_names(composite, dead_norm)
    }
    done = convert_published(published)
    assert done.permuted == []
    assert done.dropped == [
        name for name in published if 'cb_modules.1.bn1.' in name and dead_norm
    ]
    own = {prefix + k: v for k, v in composite.state_dict().items()}
    assert set(done.weights) == set(own)
    for key, value in own.items():
        assert done.weights[key].data_ptr() == value.data_ptr()


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('backbone.cb_linears.0.weight', 'not a name of a published'),
        ('backbone.cb_gone.0.1.weight', 'expected cb_modules.K'),
        ('backbone.cb_modules.2.conv1.weight', 'two members'),
    ],
)
def test_names_not_served(name, message):
    with pytest.raises(ValueError, match=f'{name}: .*{message}'):
        convert_published({name: torch.zeros(1)})


def test_two_names_for_one_weight():
    weight = torch.ones(1)
    names = ('cb_modules.0.conv1.weight', 'members.0.conv1.weight')
    with pytest.raises(ValueError, match='weights of the file have two names'):
        convert_published(dict.fromkeys(names, weight))


def test_neck_and_heads_pass_unchanged():
    names = {'neck.lateral_convs.0.conv.weight', 'rpn_head.rpn_conv.bias'}
    heads = dict.fromkeys(names, torch.ones(1))
    assert convert_published(heads).weights == heads
