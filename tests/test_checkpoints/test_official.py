"""The published layout.

1. golden values of the published ResNet and Res2Net composites, float64:
   weights under published names, converted, loaded strictly, agree to 1e-9
   relative to each map's largest value (backbone and FPN, odd sizes,
   training mode with the statistics that moved);
2. the same rule for every ``cb_del_stages``, deep stem and part of a state
   dict: names map one to one onto ours, only the dead stem norm is dropped;
3. names and arguments that are not served are errors that say so.
"""

import json
import zlib
from pathlib import Path

import pytest
import torch

from cbnet.checkpoints import convert_official, convert_official_backbone
from cbnet.testing import build_model

DATA = Path(__file__).parents[1] / 'data/official_backbones.json'
CASES = json.loads(DATA.read_text())
NECK = dict(
    type='FPN',
    in_channels=[256, 512, 1024, 2048],
    out_channels=32,
    num_outs=5,
)


def seeded_weights(keys, seed):
    """Weights that depend on (seed, key, shape) alone, float64."""
    weights = {}
    for key, shape in keys.items():
        if key.endswith('num_batches_tracked'):
            weights[key] = torch.zeros(shape, dtype=torch.long)
            continue
        g = torch.Generator().manual_seed(zlib.crc32(f'{seed}:{key}'.encode()))
        if key.endswith('running_var'):
            value = torch.rand(shape, generator=g) + 0.5
        elif key.endswith('running_mean'):
            value = torch.randn(shape, generator=g) * 0.2
        elif len(shape) < 2 and key.endswith('weight'):
            value = torch.rand(shape, generator=g) * 0.6 + 0.7
        elif len(shape) < 2:
            value = torch.randn(shape, generator=g) * 0.1
        else:
            value = torch.randn(shape, generator=g)
            value = value * (1.0 / value[0].numel() ** 0.5)
        weights[key] = value.double()
    return weights


def agree(found, expected):
    assert list(found.shape) == expected['shape']
    flat = found.detach().flatten()
    index = torch.linspace(0, flat.numel() - 1, 48)  # in float32
    samples = flat[index.round().long()]
    scale = expected['absmax']
    wanted = torch.tensor(expected['samples'], dtype=torch.double)
    assert (samples - wanted).abs().max() <= 1e-9 * scale
    assert abs(flat.mean().item() - expected['mean']) <= 1e-9 * scale
    assert abs(flat.abs().max().item() - scale) <= 1e-9 * scale


@pytest.mark.parametrize('name', CASES)
def test_golden_values(name):
    case = CASES[name]
    backbone = build_model(convert_official_backbone(case['backbone']))
    model = torch.nn.ModuleDict(
        dict(backbone=backbone, neck=build_model(NECK))
    )
    # The published parameter count includes the lead's dead stem norm.
    dead = [
        shape[0]
        for key, shape in case['keys'].items()
        if key.startswith('backbone.cb_modules.1.bn1.')
        and key.endswith(('weight', 'bias'))
    ]
    ours = sum(p.numel() for p in backbone.parameters())
    assert ours + sum(dead) == case['params']

    weights = convert_official(seeded_weights(case['keys'], case['seed']))
    model.double().load_state_dict(weights, strict=True)
    model.train(case['mode'] == 'train')
    before = {k: v.clone() for k, v in backbone.state_dict().items()}
    image = torch.randn(
        case['shape'],
        generator=torch.Generator().manual_seed(case['seed'] + 7),
    ).double()
    with torch.no_grad():
        pyramids = backbone(image, all_members=True)
        for k, pyramid in enumerate(pyramids):
            for level, y in enumerate(pyramid):
                agree(y, case['outputs'][f'backbone.{k}.{level}'])
            for level, y in enumerate(model['neck'](pyramid)):
                agree(y, case['outputs'][f'neck_train.{k}.{level}'])
    moved = {
        f'backbone.{key}'
        for key, value in backbone.state_dict().items()
        if key.endswith('running_mean') and not torch.equal(value, before[key])
    }
    published = dict.fromkeys(case.get('moved_stats', []), torch.zeros(1))
    published = {  # the dead norm's conv1 tells that it is dead
        k: v for k, v in published.items() if 'cb_modules.1.bn1' not in k
    }
    assert moved == set(convert_official(published))


@pytest.mark.parametrize('name', ['r50_d1_odd'])
def test_what_is_added_at_each_stage(name):
    """The connections' sums, stage by stage, are the published ones."""
    case = CASES[name]
    backbone = build_model(convert_official_backbone(case['backbone']))
    weights = seeded_weights(case['keys'], case['seed'])
    weights = {k: v for k, v in weights.items() if k.startswith('backbone.')}
    weights = {
        k.removeprefix('backbone.'): v
        for k, v in convert_official(weights).items()
    }
    backbone.double().load_state_dict(weights, strict=True)
    backbone.eval()
    added = {}
    backbone.connections[0].register_forward_hook(
        lambda module, args, output: added.update({args[1]: output})
    )
    image = torch.randn(
        case['shape'],
        generator=torch.Generator().manual_seed(case['seed'] + 7),
    ).double()
    with torch.no_grad():
        backbone(image)
    stages = [k for k in case['outputs'] if k.startswith('cb_feats.')]
    assert set(added) == {int(k.rpartition('.')[2]) for k in stages}
    for key in stages:
        agree(added[int(key.rpartition('.')[2])], case['outputs'][key])


def official_names(composite, dead_norm):
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
    composite = build_model(convert_official_backbone(cfg))
    assert composite.out_indices == (1, 3)
    dead_norm = dropped >= 0 and not deep_stem
    published = {
        prefix + k: v for k, v in official_names(composite, dead_norm)
    }
    dropped_norms = [k for k in published if '.1.bn1.' in k and dead_norm]
    converted = convert_official(published)
    assert len(converted) == len(published) - 4 * bool(dropped_norms)
    assert {k.removeprefix(prefix) for k in converted} == set(
        composite.state_dict()
    )
    for key, value in composite.state_dict().items():
        assert converted[prefix + key] is value or torch.equal(
            converted[prefix + key], value
        )


def test_arguments():
    cfg = dict(
        type='mmdet.CBRes2Net',
        depth=101,
        pretrained='open-mmlab://res2net101_v1d_26w_4s',
        dcn=dict(type='DCNv2'),
    )
    assert convert_official_backbone(cfg) == dict(
        type='CompositeBackbone',
        member=dict(
            type='Res2Net',
            depth=101,
            dcn=dict(type='DCNv2'),
            init_cfg=dict(
                type='Pretrained',
                checkpoint='open-mmlab://res2net101_v1d_26w_4s',
            ),
        ),
        num_members=2,
        style='dhlc',
        shared_stages=0,
        connection=dict(zero_init=True),
    )
    assert cfg['type'] == 'mmdet.CBRes2Net'  # left as it was


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(type='ResNet'), "type='ResNet'.*CBResNet, CBRes2Net"),
        (dict(cb_del_stages=5), 'cb_del_stages=5'),
        (dict(cb_del_stages=-2), 'cb_del_stages=-2'),
    ],
)
def test_arguments_not_served(options, message):
    cfg = dict(dict(type='CBResNet', depth=50), **options)
    with pytest.raises(ValueError, match=message):
        convert_official_backbone(cfg)


@pytest.mark.parametrize(
    'name',
    [
        'backbone.cb_modules.0.patch_embed.proj.weight',
        'backbone.cb_linears.0.1.weight',
    ],
)
def test_names_not_served(name):
    with pytest.raises(ValueError, match=name):
        convert_official({name: torch.zeros(1)})


def test_neck_and_heads_pass_unchanged():
    names = {'neck.lateral_convs.0.conv.weight', 'rpn_head.rpn_conv.bias'}
    assert set(convert_official(dict.fromkeys(names, torch.ones(1)))) == names
