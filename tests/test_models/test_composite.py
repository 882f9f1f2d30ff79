"""The composite backbone.

1. zero-initialised connections: the lead's pyramid is a lone member's;
   opening one edge changes exactly the maps from its target stage on;
2. any number of members, every style, each ``shared_stages``: shapes at odd
   sizes, a gradient for every trainable parameter, later members without
   the shared parts;
3. shared stages take the first member's maps, also through three members;
4. activation checkpointing changes neither gradients nor statistics;
5. the plain forward skips what feeds nothing, and does not change;
6. arguments that do not fit are errors that say so.
"""

import copy
import logging
import pickle
import re

import pytest
import torch

from cbnet.models.backbones import STYLES, CompositeBackbone
from cbnet.testing import TINY_MEMBERS, build_model, tiny_composite

IMAGE = torch.randn(2, 3, 97, 131)


def open_connections(composite, seed=0):
    generator = torch.Generator().manual_seed(seed)
    for p in composite.connections.parameters():
        p.data = torch.randn(p.shape, generator=generator) * 0.1
    return composite


@pytest.mark.parametrize('style', STYLES)
@pytest.mark.parametrize('name', ['resnet', 'timm_efficientnet', 'regnet'])
def test_zero_connections_leave_the_lead_alone(name, style):
    composite = build_model(
        tiny_composite(name, style=style, shared_stages=None)
    ).eval()
    lone = build_model(TINY_MEMBERS[name])
    lone.eval()
    lone.load_state_dict(composite.members[1].state_dict())
    for expected, found in zip(lone(IMAGE), composite(IMAGE), strict=True):
        assert torch.equal(expected, found)


@pytest.mark.parametrize('style', STYLES)
def test_an_edge_reaches_its_target_and_what_follows(style):
    composite = build_model(
        tiny_composite(style=style, shared_stages=None)
    ).eval()
    before = composite(IMAGE)
    for name, edge in composite.connections[0].items():
        target = int(name.rpartition('_')[2])
        torch.nn.init.ones_(edge.norm.bias)
        after = composite(IMAGE)
        changed = [
            not torch.equal(a, b) for a, b in zip(before, after, strict=True)
        ]
        assert changed == [i >= target for i in range(4)], name
        torch.nn.init.zeros_(edge.norm.bias)
    assert all(map(torch.equal, before, composite(IMAGE)))


@pytest.mark.parametrize('shared_stages', [None, 0, 1, 2, 3, 4])
@pytest.mark.parametrize('num_members', [1, 2, 3])
@pytest.mark.parametrize('style', STYLES)
def test_shapes_and_gradients(style, num_members, shared_stages):
    composite = build_model(
        tiny_composite(
            num_members=num_members, style=style, shared_stages=shared_stages
        )
    ).train()
    open_connections(composite)
    lone = build_model(TINY_MEMBERS['resnet'])
    pyramids = composite(IMAGE, all_members=True)
    assert len(pyramids) == num_members
    for pyramid in pyramids:
        assert [y.shape for y in pyramid] == [y.shape for y in lone(IMAGE)]
    sum(y.square().sum() for p in pyramids for y in p).backward()
    for name, p in composite.named_parameters():
        assert p.grad is not None, name
        assert p.grad.abs().max() > 0, name


@pytest.mark.parametrize(
    'member', ['resnet', 'resnet_deep_stem', 'regnet', 'timm_convnext']
)
@pytest.mark.parametrize('shared_stages', [0, 1, 2, 3, 4])
def test_shared_stages_are_the_first_members(member, shared_stages):
    composite = build_model(
        tiny_composite(member, num_members=3, shared_stages=shared_stages)
    ).eval()
    open_connections(composite)
    pyramids = composite(IMAGE, all_members=True)
    for pyramid in pyramids[1:]:
        for i, (first, later) in enumerate(
            zip(pyramids[0], pyramid, strict=True)
        ):
            assert torch.equal(first, later) == (i < shared_stages)
    if 0 < shared_stages < 4:
        assert not torch.equal(pyramids[1][-1], pyramids[2][-1])
    targets = {
        int(name.rpartition('_')[2])
        for connection in composite.connections
        for name in connection
    }
    assert targets == set(range(shared_stages, 4))


def test_shared_parts_are_gone():
    shares = build_model(tiny_composite(shared_stages=2))
    names = set(shares.members[1].state_dict())
    assert names == {
        name
        for name in shares.members[0].state_dict()
        if name.startswith(('layer3.', 'layer4.'))
    }


def test_frozen_before_ddp_looks():
    """What members freeze is frozen after construction, norms included."""
    cfg = dict(TINY_MEMBERS['resnet'], frozen_stages=1)
    composite = build_model(dict(type='CompositeBackbone', member=cfg))
    frozen = {
        n for n, p in composite.named_parameters() if not p.requires_grad
    }
    assert frozen == {
        name
        for name, _ in composite.named_parameters()
        if name.startswith(
            tuple(
                f'members.{k}.{part}.'
                for k in (0, 1)
                for part in ('conv1', 'bn1', 'layer1')
            )
        )
    }
    assert not any('members.1.bn1' in name for name in frozen)  # no dead norm
    composite.train()
    assert not composite.members[1].layer1[0].bn1.training


def test_a_frozen_composite_stays_as_it_is():
    composite = build_model(tiny_composite(frozen=True))
    open_connections(composite)
    before = copy.deepcopy(composite.state_dict())
    composite.train()
    assert not any(y.requires_grad for y in composite(IMAGE))
    assert not any(module.training for module in composite.modules())
    for name, value in composite.state_dict().items():
        assert torch.equal(value, before[name])


def test_members_of_different_kinds():
    composite = build_model(
        tiny_composite(
            ['resnet_bottleneck', 'timm_efficientnet'], shared_stages=None
        )
    ).eval()
    lone = build_model(TINY_MEMBERS['timm_efficientnet'])
    lone.eval()
    lone.load_state_dict(composite.members[1].state_dict())
    assert all(map(torch.equal, lone(IMAGE), composite(IMAGE)))
    open_connections(composite)
    assert not torch.equal(lone(IMAGE)[0], composite(IMAGE)[0])


@pytest.mark.parametrize('style', STYLES)
@pytest.mark.parametrize('shared_stages', [None, 1, 4])
def test_plain_forward_skips_only_what_feeds_nothing(style, shared_stages):
    composite = open_connections(
        build_model(
            tiny_composite(
                num_members=3, style=style, shared_stages=shared_stages
            )
        )
    ).eval()
    ran = []
    for k, adapter in enumerate(composite.adapters):
        run = adapter.run_stage
        adapter.run_stage = lambda i, x, k=k, run=run: (
            ran.append((k, i)) or run(i, x)
        )
    lead = composite(IMAGE)
    count, everything = len(ran), (12 if shared_stages is None else 0)
    ran.clear()
    assert all(map(torch.equal, lead, composite(IMAGE, all_members=True)[-1]))
    if everything:
        assert len(ran) == everything
        skipped = {'slc': 2, 'allc': 4}.get(style, 0)
        assert count == everything - skipped


@pytest.mark.parametrize('member', ['resnet', 'timm_efficientnet'])
def test_checkpointing_changes_nothing(member):
    plain = build_model(tiny_composite(member, shared_stages=None)).train()
    open_connections(plain)
    for backbone in plain.members:
        backbone.norm_eval = False
    plain.train()
    saving = copy.deepcopy(plain)
    for adapter in saving.adapters:
        adapter.with_cp = True
    for model in (plain, saving):
        sum(y.square().mean() for y in model(IMAGE)).backward()
    for (name, a), b in zip(
        plain.named_parameters(), saving.parameters(), strict=True
    ):
        torch.testing.assert_close(a.grad, b.grad, msg=name)
    for (name, a), b in zip(
        plain.named_buffers(), saving.buffers(), strict=True
    ):
        assert torch.equal(a, b), name
    counts = [
        b
        for n, b in plain.members.named_buffers()
        if n.endswith('num_batches_tracked')
    ]
    assert counts and all(b == 1 for b in counts)  # statistics did move


def test_checkpointing_keeps_less(monkeypatch):
    """Between the passes, stages under checkpointing hold fewer tensors."""
    held = {}
    for with_cp in (False, True):
        model = build_model(tiny_composite(with_cp=with_cp)).train()
        saved = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t, saved=saved: saved.append(t.numel()) or t, lambda t: t
        ):
            model(IMAGE)
        held[with_cp] = sum(saved)
    assert held[True] < 0.5 * held[False]


def test_deepcopy_and_pickle_stay_joined():
    composite = open_connections(build_model(tiny_composite())).eval()
    for twin in (
        copy.deepcopy(composite),
        pickle.loads(pickle.dumps(composite)),  # noqa: S301
    ):
        assert all(map(torch.equal, composite(IMAGE), twin(IMAGE)))
        twin.members[0].conv1.weight.data.zero_()
        assert twin.adapters[0].backbone is twin.members[0]
        assert not torch.equal(composite(IMAGE)[0], twin(IMAGE)[0])


def test_channels_last_and_bf16_run():
    composite = build_model(tiny_composite('timm_efficientnet'))
    composite.to(memory_format=torch.channels_last)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        maps = composite(IMAGE)
    assert all(y.isfinite().all() for y in maps)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(num_members=0), 'num_members=0'),
        (dict(num_members=True), 'num_members=True; expected a whole number'),
        (dict(style='dense'), "'slc', 'ahlc', 'allc', 'dhlc' or 'fcc'$"),
        (
            dict(style='dhcl'),
            "did you mean 'dhlc' or 'ahlc'.$",
        ),
        (dict(style='FCC', num_members=1), "did you mean 'fcc'"),
        (dict(style=3), 'style=3; expected .slc'),
        (dict(style=['dhlc']), 'style=..dhlc..; expected .slc'),
        (
            dict(shared_stages=5),
            'shared_stages=5; these members have 4 stages',
        ),
        (dict(shared_stages=5), 'stages, so give 0 .share the stem. to 4'),
        (dict(shared_stages=1.5), 'shared_stages=1.5; expected a whole'),
        (dict(shared_stages=True), 'shared_stages=True; expected a whole'),
        (dict(shared_stages='1'), "shared_stages='1'"),
        (dict(shared_stages=-1), 'shared_stages=-1'),
        (
            dict(connection=dict(bais=1)),
            "no option 'bais'; did you mean 'bias'. Its",
        ),
        (dict(member=['resnet', 'resnet'], num_members=3), 'lists 2'),
        (
            dict(member=['resnet', 'regnet']),
            'member 1 cannot share with member 0 .shared_stages=0.: the input '
            'of stage 0 has 8 channels at stride 4 in member 0, 32 channels '
            'at stride 2 in member 1; use shared_stages=None',
        ),
        (
            dict(member=['resnet', 'resnet_bottleneck'], shared_stages=1),
            'cannot share with member 0 .shared_stages=1.',
        ),
    ],
)
def test_arguments_that_do_not_fit(options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        build_model(tiny_composite(**options))


@pytest.mark.parametrize(
    'stages', [(3, 2, 1, 0), (0, 0, 1), (-1,), (True,), (0, 4), (), 3, 'all']
)
def test_stages_that_no_pyramid_has(stages):
    """Of the composite and, where the backbone accepts them, of a member."""
    message = 'out_indices=.*; expected (some of|a list of whole numbers)'
    with pytest.raises((TypeError, ValueError), match=message):
        build_model(tiny_composite(out_indices=stages))
    if stages in [(3, 2, 1, 0), (-1,)]:
        member = dict(TINY_MEMBERS['resnet'], out_indices=stages)
        with pytest.raises(ValueError, match='member 0 has out_indices=.*or'):
            build_model(dict(type='CompositeBackbone', member=member))


@pytest.mark.parametrize(
    'options',
    [
        dict(connection=[dict(bias=True), {}]),
        dict(connection='zero'),
        dict(connection=False),
        dict(with_cp=1),
        dict(with_cp='no'),
        dict(frozen=None),
    ],
)
def test_values_of_another_kind(options):
    """Each ends in one sentence that names the key and what was found."""
    ((key, value),) = options.items()
    with pytest.raises(TypeError) as raised:
        build_model(tiny_composite(**options))
    expected = 'True or False'
    if key == 'connection':
        expected = 'a dict of settings by name, or None'
    found = f'CompositeBackbone: {key}={value!r}'
    assert str(raised.value) == f'{found}; expected {expected}'


def test_built_backbones_are_members():
    configs = [TINY_MEMBERS['resnet'], TINY_MEMBERS['resnet_v1d']]
    members = [build_model(cfg) for cfg in configs]
    torch.manual_seed(0)
    composite = CompositeBackbone(members, shared_stages=None).eval()
    torch.manual_seed(0)
    expected = build_model(
        dict(type='CompositeBackbone', member=configs, shared_stages=None)
    ).eval()
    expected.load_state_dict(composite.state_dict())
    assert composite.members[1] is members[1]
    assert all(map(torch.equal, composite(IMAGE), expected(IMAGE)))
    with pytest.raises(ValueError, match='one backbone object twice'):
        CompositeBackbone([members[0], members[0]])


@pytest.mark.parametrize('member', ['ResNet', 3, [3, 4]])
def test_a_member_that_is_no_config(member):
    with pytest.raises(TypeError, match=re.escape(f'member={member!r}; exp')):
        build_model(dict(type='CompositeBackbone', member=member))


def test_members_that_do_not_fit():
    three = dict(
        TINY_MEMBERS['resnet'],
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(0, 1, 2),
    )
    four = dict(strides=(1, 2, 2, 2), dilations=(1, 1, 1, 1))
    with pytest.raises(ValueError, match='member 1 has 4 stages'):
        build_model(
            dict(
                type='CompositeBackbone',
                member=[three, dict(three, num_stages=4, **four)],
            )
        )
    two_maps = dict(TINY_MEMBERS['resnet'], out_indices=(2, 3))
    with pytest.raises(ValueError, match='out_indices=.2, 3.'):
        build_model(
            dict(
                type='CompositeBackbone',
                member=[two_maps, TINY_MEMBERS['resnet']],
            )
        )
    assert (
        len(
            build_model(dict(type='CompositeBackbone', member=two_maps))(IMAGE)
        )
        == 2
    )


def test_random_init_logs_nothing_of_files(caplog):
    composite = build_model(tiny_composite())
    with caplog.at_level(logging.INFO):
        composite.init_weights()
    assert 'loaded' not in caplog.text
