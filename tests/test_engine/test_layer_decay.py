"""Learning rates and weight decay by the place of a weight in its member.

- For every family of members, depths fall in the order in which the modules
  run, from the stem's depth to 1 for the last block; only output norms have
  none.
- The learning rate of every weight of a composite of Swins, and of ResNets,
  with blocks or stages as layers, is that of a table made from the names.
  Frozen weights are left out; every other weight is in one group.
- A lead with shared stages, a single member and a single backbone have the
  learning rates of a complete member; a wrapped model too.
- Factors of assistants, lead and connections; mmengine's own settings.
- Weight decay by the type of module; the published rule, by substrings,
  with mmengine's default constructor.
- A new optimizer continues from a saved one; the table in the log.
- Each mistake in the settings is one clear error.
"""

import copy
import re

import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from torch import nn

from cbnet.engine.layer_decay import MemberLayerDecayConstructor
from cbnet.engine.parameter_places import member_depths
from cbnet.errors import UserError
from cbnet.models.members import HookedAdapter, adapt
from cbnet.testing import (
    TINY_MEMBERS,
    build_model,
    tiny_composite,
    tiny_detector,
)

ADAMW = dict(type='AdamW', lr=0.1, weight_decay=0.05)
SWIN = dict(copy.deepcopy(TINY_MEMBERS['swin']), use_abs_pos_embed=True)
#: blocks of each member, counted in its config or in timm's definition
BLOCKS = dict(
    resnet=8, resnet_deep_stem=8, resnet_bottleneck=16, resnet_v1d=8,
    resnext=16, res2net=16, regnet=5, resnest=16, swin=6,
    timm_efficientnet=4, timm_resnet=4, timm_convnext=9,
    timm_vit=6,
)  # fmt: skip


def order_of_use(adapter):
    """List the parameters in the order in which the stages use them."""
    order = []
    for name, module in adapter.backbone.named_modules():
        own = [
            f'{name}.{n}' if name else n
            for n, _ in module.named_parameters(recurse=False)
        ]
        module.register_forward_pre_hook(lambda *_, own=own: order.extend(own))
    image = torch.rand(1, 3, 64, 64)
    adapter.run(image, lambda stage, size: None, len(adapter.specs))
    if isinstance(adapter, HookedAdapter):  # its model is not called itself
        own = adapter.net.named_parameters(prefix='model', recurse=False)
        order = [name for name, _ in own] + order
    return order


@pytest.mark.parametrize('name', TINY_MEMBERS)
def test_depths_follow_the_order_of_use(name):
    backbone = build_model(TINY_MEMBERS[name])
    backbone.eval()  # mmdet's eval() returns nothing
    adapter = adapt(backbone)
    names = [name for name, _ in adapter.backbone.named_parameters()]
    before = [id(p) for p in adapter.backbone.parameters()]
    order = order_of_use(adapter)
    for layers in ('block', 'stage'):
        depths = member_depths(adapter, layers)
        assert set(depths) == set(order)
        above = [n for n in names if n not in depths]
        assert all(re.match(r'norm\d\.', n) for n in above)
        along = [depths[n] for n in order]
        assert along == sorted(along, reverse=True)
        highest = BLOCKS[name] if layers == 'block' else 4
        assert sorted(set(along)) == list(range(1, highest + 2))
    assert before == [id(p) for p in adapter.backbone.parameters()]


def detector(backbone, **options):
    model = tiny_detector('MaskRCNN', backbone)
    if backbone.get('num_members', 2) > 1 and 'member' in backbone:
        model.update(
            type='AssistedDetector',
            base='MaskRCNN',
            assistance=dict(weights=[0.5]),
        )
    return build_model(dict(model, **options))


def build(model, optimizer=None, **settings):
    with DefaultScope.overwrite_default_scope('mmdet'):
        return build_optim_wrapper(
            model,
            dict(
                constructor='MemberLayerDecayConstructor',
                optimizer=dict(optimizer or ADAMW),
                paramwise_cfg=settings,
            ),
        )


def groups_of(model, wrapper):
    """Map parameter names to groups; no parameter has two."""
    names = {id(p): name for name, p in model.named_parameters()}
    found = {}
    for group in wrapper.optimizer.param_groups:
        for parameter in group['params']:
            name = names[id(parameter)]
            assert name not in found
            found[name] = group
    return found


def factors(model, **settings):
    groups = groups_of(model, build(model, **settings))
    return {name: group['lr'] / 0.1 for name, group in groups.items()}


def swin_exponent(name, layers='block'):
    """The exponent of a Swin's weight, from its name and depths 1, 2, 2, 1."""
    depths = (1, 2, 2, 1)
    found = re.match(r'stages\.(\d)\.(?:blocks\.(\d)|downsample)', name)
    if found and layers == 'stage':
        return 4 - int(found[1])
    if found:
        stage = int(found[1])
        block = depths[stage] - 1 if found[2] is None else int(found[2])
        return sum(depths) - sum(depths[:stage]) - block
    if name.startswith(('patch_embed', 'absolute_pos_embed')):
        return 5 if layers == 'stage' else 7
    return 0


def resnet_exponent(name, layers='block'):
    """The exponent of a ResNet-18's weight, from its name."""
    found = re.match(r'layer(\d)\.(\d)', name)
    if not found:
        return 5 if layers == 'stage' else 9
    stage, block = map(int, found.groups())
    return 5 - stage if layers == 'stage' else 10 - 2 * stage - block


def expected_factors(names, exponent, decay, layers):
    expected = {}
    for name in names:
        inside = re.match(r'backbone\.members\.\d\.(.*)', name)
        expected[name] = decay ** exponent(inside[1], layers) if inside else 1
    return expected


@pytest.mark.parametrize('layers', ['block', 'stage'])
@pytest.mark.parametrize(
    ('member', 'exponent'),
    [(SWIN, swin_exponent), (TINY_MEMBERS['resnet'], resnet_exponent)],
    ids=['swin', 'resnet'],
)
def test_the_rate_of_every_weight(member, exponent, layers):
    backbone = dict(tiny_composite(), member=member, shared_stages=1)
    model = detector(backbone)
    names = [name for name, _ in model.named_parameters()]
    found = factors(model, layer_decay=0.8, layers=layers)
    expected = expected_factors(names, exponent, 0.8, layers)
    assert found == pytest.approx(expected, rel=1e-12)
    # The lead has weights at many depths, not only at the top.
    lead = {f for n, f in found.items() if n.startswith('backbone.members.1')}
    assert min(lead) < 0.8 ** (2 if layers == 'stage' else 4)


def test_frozen_weights_are_left_out():
    member = dict(TINY_MEMBERS['resnet'], frozen_stages=1)
    model = detector(dict(tiny_composite(), member=member))
    found = factors(model, layer_decay=0.5)
    trained = {n for n, p in model.named_parameters() if p.requires_grad}
    assert set(found) == trained
    assert 'backbone.members.0.conv1.weight' not in found
    assert found['backbone.members.0.layer2.0.conv1.weight'] == 0.5**6


@pytest.mark.parametrize('member', ['swin', 'timm_convnext', 'resnest'])
def test_rates_are_those_of_a_complete_member(member):
    def members(**options):
        backbone = build_model(tiny_composite(member, **options))
        found = factors(backbone, layer_decay=0.8)
        return {
            k: {
                name.removeprefix(f'members.{k}.'): factor
                for name, factor in found.items()
                if name.startswith(f'members.{k}.')
            }
            for k in range(backbone.num_members)
        }

    alone = factors(build_model(TINY_MEMBERS[member]), layer_decay=0.8)
    assert len(set(alone.values())) > 4
    complete = members(shared_stages=None, num_members=3)
    assert members(num_members=1)[0] == complete[2] == complete[0] == alone
    first, lead = members(shared_stages=2).values()
    # Output norms of stages that nothing reads are not there.
    assert first.items() <= alone.items() and len(first) >= len(alone) - 2
    assert lead.items() <= alone.items() and 0 < len(lead) < len(alone)


class Wrapper(nn.Module):
    """Hold the model as ``module``, as DistributedDataParallel does."""

    def __init__(self, module):
        super().__init__()
        self.module = module


def test_a_wrapped_model():
    model = detector(tiny_composite('swin'))
    wrapper = build(Wrapper(model), layer_decay=0.8)
    groups = groups_of(model, wrapper)
    found = {name: group['lr'] / 0.1 for name, group in groups.items()}
    assert found == factors(model, layer_decay=0.8)


def test_factors_of_parts():
    model = detector(tiny_composite('resnet', num_members=3), assistance={})
    found = factors(
        model, assistants_lr_mult=0.5, lead_lr_mult=0.25,
        connections_lr_mult=2, others_lr_mult=0.75,
        custom_keys={'rpn_head': dict(lr_mult=3.0)},
    )  # fmt: skip
    expected = {
        'backbone.members.0.': 0.5,
        'backbone.members.1.': 0.5,
        'backbone.members.2.': 0.25,
        'backbone.connections.': 2,
        'rpn_head.': 3 * 0.75,
        'neck.': 0.75,
        'roi_head.': 0.75,
    }
    for name, factor in found.items():
        (part,) = [part for part in expected if name.startswith(part)]
        assert factor == pytest.approx(expected[part])
    both = factors(
        model, layer_decay=0.5, lead_lr_mult=0.25,
        custom_keys={'members.2.layer4.1': dict(lr_mult=8.0)},
    )  # fmt: skip
    assert both['backbone.members.2.layer4.1.conv1.weight'] == 1
    assert both['backbone.members.2.layer4.0.conv1.weight'] == 0.25**2


def decays(model, wrapper):
    groups = groups_of(model, wrapper)
    return {name: group['weight_decay'] for name, group in groups.items()}


def swin_detector():
    """Swins with absolute positions, and a box head with BatchNorm."""
    head = dict(
        type='Shared4Conv1FCBBoxHead', conv_out_channels=8,
        in_channels=8, fc_out_channels=16, num_classes=3,
        norm_cfg=dict(type='BN'),
    )  # fmt: skip
    model = tiny_detector('MaskRCNN', dict(tiny_composite(), member=SWIN))
    model['roi_head']['bbox_head'].update(head)
    return build_model(model)


def test_weight_decay():
    model = swin_detector()
    found = decays(model, build(model))
    norms = (nn.LayerNorm, nn.BatchNorm2d)
    for prefix, module in model.named_modules():
        for name, _ in module.named_parameters(recurse=False):
            free = isinstance(module, norms) or name in (
                'absolute_pos_embed', 'relative_position_bias_table'
            )  # fmt: skip
            assert found[f'{prefix}.{name}'] == (0 if free else 0.05)
    settings = dict(position_decay_mult=0.5, bias_decay_mult=0.0)
    found = decays(model, build(model, norm_decay_mult=1.0, **settings))
    stage = 'backbone.members.1.stages.3.blocks.0'
    table = f'{stage}.attn.w_msa.relative_position_bias_table'
    assert found[f'{stage}.norm1.weight'] == 0.05
    assert found[table] == 0.025
    assert found[f'{stage}.ffn.layers.1.bias'] == 0
    keys = {'w_msa': dict(decay_mult=1.0)}
    assert decays(model, build(model, custom_keys=keys))[table] == 0.05
    plain = build(model, optimizer=dict(type='SGD', lr=0.1), layer_decay=0.5)
    assert len({group['lr'] for group in plain.optimizer.param_groups}) > 7


def test_the_published_rule_through_the_default_constructor():
    """Weights whose names contain one of three words do not decay."""
    model = swin_detector()
    words = ('absolute_pos_embed', 'relative_position_bias_table', 'norm')
    with DefaultScope.overwrite_default_scope('mmdet'):
        wrapper = build_optim_wrapper(
            model,
            dict(
                optimizer=ADAMW,
                paramwise_cfg=dict(
                    custom_keys={word: dict(decay_mult=0.0) for word in words}
                ),
            ),
        )
    published = decays(model, wrapper)
    free = {name for name, decay in published.items() if not decay}
    assert free == {n for n in published if any(word in n for word in words)}
    assert set(published.values()) == {0, 0.05}
    # Ours exempts the same weights, and norms under other names.
    ours = {n for n, d in decays(model, build(model)).items() if not d}
    assert ours - free == {
        f'roi_head.bbox_head.shared_convs.{i}.bn.{name}'
        for i in range(4)
        for name in ('weight', 'bias')
    }
    assert not free - ours


def step(model, wrapper, seed):
    torch.manual_seed(seed)
    maps = model(torch.rand(1, 3, 64, 64))
    wrapper.update_params(sum(y.square().mean() for y in maps))


def test_continues_from_a_saved_optimizer():
    model = build_model(tiny_composite('swin', shared_stages=1))
    wrapper = build(model, layer_decay=0.8)
    step(model, wrapper, 1)
    other = build_model(tiny_composite('swin', shared_stages=1))
    other.load_state_dict(model.state_dict())
    resumed = build(other, layer_decay=0.8)
    resumed.load_state_dict(copy.deepcopy(wrapper.state_dict()))
    step(model, wrapper, 2)
    step(other, resumed, 2)
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)


def test_the_table_in_the_log(monkeypatch):
    lines = []
    logger = MMLogger.get_instance('layers')
    monkeypatch.setattr(
        logger, 'log', lambda level, text: lines.append(str(text))
    )
    monkeypatch.setattr(
        MMLogger, 'get_current_instance', staticmethod(lambda: logger)
    )
    model = detector(tiny_composite('swin'))
    wrapper = build(model, layer_decay=0.8)
    (table,) = [line for line in lines if line.startswith('learning rates')]
    table = table.splitlines()
    rows = [[c.strip() for c in line.split('|')[1:-1]] for line in table[3:]]
    groups = wrapper.optimizer.param_groups
    assert [row[0] for row in rows] == [g['group_name'] for g in groups]
    assert len({row[0] for row in rows}) == len(rows)
    numbers = sum(int(row[-1].replace(',', '')) for row in rows)
    assert numbers == sum(p.numel() for p in model.parameters())
    assert rows[0][:5] == ['lr x0.2097', '0.02097', '0.05', 'member 0', '7']
    assert ['lr x0.8, no decay', '0.08', '0', 'member 0, member 1', '1'] in [
        row[:5] for row in rows
    ]


MISTAKES = {
    'layer_decay=0;': dict(layer_decay=0),
    'layer_decay=1.1;': dict(layer_decay=1.1),
    "layer_decay='0.8';": dict(layer_decay='0.8'),
    "layers='blocks'; expected 'block' or 'stage'": dict(layers='blocks'),
    'lead_lr_mult=-1;': dict(lead_lr_mult=-1),
    "'lead_mult'; did you mean 'lead_lr_mult'": dict(lead_mult=1),
    "'layer_decay_rate'; did you": dict(layer_decay_rate=0.8),
}


@pytest.mark.parametrize(('message', 'settings'), MISTAKES.items())
def test_mistakes(message, settings):
    with pytest.raises(UserError) as raised:
        build(nn.Linear(1, 1), **settings)
    assert message in str(raised.value)


def test_nothing_to_count():
    with pytest.raises(ValueError, match='neither a CompositeBackbone nor'):
        build(nn.Linear(1, 1))
    with pytest.raises(ValueError, match='has no lr'):
        build(nn.Linear(1, 1), optimizer=dict(type='SGD'))
    wrapper = dict(optimizer=ADAMW)
    assert MemberLayerDecayConstructor(wrapper).base_lr == 0.1
