"""Hooked members: a backbone that runs as it is.

1. a map added at stage t reaches the maps from t on, nothing added changes
   nothing, each stage begins once;
2. entries are found in every layout, also where timm's names are wrong;
3. images of any size are padded, and the maps cut;
4. shared stages are the first member's and have no parameters, which no
   method of theirs misses;
5. state is cleared, also if a forward raises.
"""

import copy
import pickle

import pytest
import timm
import torch
from torch import nn

from cbnet.models.members import TimmBackbone, adapt
from cbnet.testing import build_model, tiny_composite

from .hooked_members import (
    IMAGE,
    KINDS,
    SMALL,
    VIT,
    composite,
    member_of,
)
from .staged_backbones import Stages


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def cfg(kind):
    return member_of(kind)


def test_additions_arrive_where_they_belong(cfg, kind):
    """Each position is added to the position of the map that it belongs to."""
    backbone = build_model(cfg).eval()
    member = adapt(backbone)
    assert member.anatomy.entries[1].layout.kind == kind
    image = torch.randn(2, 3, 128, 96)
    sizes = {}
    member.run(image, lambda t, size: sizes.update({t: size}), 4)
    for t, spec in enumerate(member.specs):
        added = torch.randn(2, spec.in_channels, *sizes[t])
        seen = []
        entry = member.anatomy.entries[t]
        handle = member.net.get_submodule(
            entry.name
        ).register_forward_pre_hook(
            lambda m, args, seen=seen, k=entry.argument: seen.append(args[k])
        )
        plain = member.run(image, lambda t, size: None, 4)
        moved = member.run(
            image, lambda i, size, t=t, y=added: y if i == t else None, 4
        )
        handle.remove()
        padded = member.pad(image).shape[-2:]
        grid = entry.layout.size_of(seen[0], padded, entry.stride)
        before, after = (entry.layout.to_map(x, grid) for x in seen)
        rows, columns = sizes[t]
        difference = (after - before)[..., :rows, :columns]
        torch.testing.assert_close(difference, added, atol=1e-5, rtol=1e-4)
        changed = [
            not torch.equal(plain.outputs[i], moved.outputs[i])
            for i in range(4)
        ]
        assert changed == [i >= t for i in range(4)]
        if t > 0:  # ... and the input is the map that was emitted before
            assert torch.equal(plain.inputs[t], plain.outputs[t - 1])


def test_images_are_padded_and_maps_cut(cfg):
    backbone = build_model(cfg).eval()
    maps = backbone(IMAGE[..., :100])
    for y, spec in zip(maps, backbone.specs, strict=True):
        s = spec.out_stride
        assert y.shape == (2, spec.out_channels, -(-97 // s), -(-100 // s))
    padded = backbone.pad(IMAGE[..., :100])
    assert torch.equal(padded[..., :97, :100], IMAGE[..., :100])
    assert padded.count_nonzero() == IMAGE[..., :100].numel()
    for y, whole in zip(maps, backbone(padded), strict=True):
        assert torch.equal(y, whole[..., : y.shape[-2], : y.shape[-1]])


def test_images_that_a_fixed_size_cannot_hold():
    backbone = build_model(
        dict(
            type='TimmBackbone',
            model_name='hiera_tiny_224',
            **SMALL['hiera_tiny_224'],
        )
    )
    assert str(backbone.sizes) == 'padded to 128x128 pixels'
    reason = "97x131 pixels do not fit model_name='hiera_tiny_224', which was"
    with pytest.raises(ValueError, match=f'{reason}.*128x128; give .*img_siz'):
        backbone(IMAGE)


@pytest.mark.parametrize('num_stages', [0, 1, 3, 4])
def test_shared_stages(cfg, num_stages):
    model = composite(cfg, num_members=3, shared_stages=num_stages).eval()
    first, *later = model(IMAGE[..., :128], all_members=True)
    for pyramid in later:
        equal = list(map(torch.equal, first, pyramid))
        assert equal == [i < num_stages for i in range(4)]
    owned = set(dict(model.members[1].named_parameters()))
    assert owned < set(dict(model.members[0].named_parameters()))
    assert owned == set(model.members[1].state_dict()) - set(
        dict(model.members[1].named_buffers())
    )
    assert bool(owned) == (num_stages < 4)
    for adapter in model.adapters[1:]:
        for piece in adapter.anatomy.units[: num_stages + 1]:
            for name in piece:  # what is shared is not in memory twice
                part = adapter.net.get_submodule(name)
                assert not [*part.parameters(), *part.buffers()], name
    if num_stages:
        return
    # ... and later members compute what they would from the same stem.
    whole = composite(cfg, num_members=3, shared_stages=None).eval()
    whole.load_state_dict(model.state_dict(), strict=False)
    for k in (1, 2):
        whole.members[k].load_state_dict(
            whole.members[0].state_dict() | model.members[k].state_dict()
        )
    pairs = zip(whole(IMAGE[..., :128]), model(IMAGE[..., :128]), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_the_first_member_runs_as_far_as_others_share(cfg):
    """Also if only shared stages are read, and the next one's input."""
    model = composite(cfg, style='slc', shared_stages=3).eval()
    image = IMAGE[..., :128]
    lead = model(image, all_members=True)[-1]
    assert all(map(torch.equal, lead, model(image)))


def test_members_of_other_kinds_share_maps():
    members = [
        dict(type='ResNet', depth=18, base_channels=32),
        dict(type='TimmBackbone', model_name='test_resnet'),
    ]
    for member in (members, members[::-1]):
        model = composite(member, shared_stages=0).eval()
        assert len(model(IMAGE)) == 4
    with pytest.raises(ValueError, match='share only with a first member of'):
        composite([VIT, dict(VIT, reg_tokens=1)], shared_stages=0)


def test_a_forward_that_raises_leaves_no_state():
    model = composite(VIT, shared_stages=None).eval()
    before = model(IMAGE)
    part = model.members[1].model.blocks[4]
    handle = part.register_forward_pre_hook(lambda m, args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        model(IMAGE)
    handle.remove()
    assert all(adapter.channel.run is None for adapter in model.adapters)
    lone = model.members[1](IMAGE)  # nothing is added to a lone backbone
    twin = copy.deepcopy(model)
    for p in twin.connections.parameters():
        p.data.zero_()
    assert all(map(torch.equal, lone, twin(IMAGE)))
    assert all(map(torch.equal, before, model(IMAGE)))


class Twice(nn.Sequential):
    def forward(self, x):
        return super().forward(super().forward(x))


@pytest.mark.parametrize(
    ('change', 'began'),
    [(lambda block: nn.Identity(), '0: 1, 1: 1, 3: 1'), (Twice, '2: 2')],
)
def test_a_stage_must_begin_once(change, began):
    model = composite(VIT, shared_stages=None).eval()
    blocks = model.members[1].model.blocks
    blocks[3] = change(blocks[3])
    words = f'stages 0 to 3 .* once .* but began .*{began}'
    with pytest.raises(ValueError, match=words):
        model(IMAGE)


def test_every_parameter_has_a_gradient(cfg):
    """DDP without find_unused_parameters waits for each of them."""
    for shared_stages in (None, 1):
        model = composite(cfg, shared_stages=shared_stages).train()
        model(IMAGE[..., :128], all_members=True)
        found = gradients_or_none(model)
        assert all(found.values()), [n for n, g in found.items() if not g]


def gradients_or_none(model):
    pyramids = model(IMAGE[..., :128], all_members=True)
    sum(y.square().mean() for p in pyramids for y in p).backward()
    return {
        n: p.grad is not None
        for n, p in model.named_parameters()
        if p.requires_grad
    }


@pytest.mark.parametrize('shared_stages', [None, 0, 2])
@pytest.mark.parametrize('name', ['test_vit', 'eva02_tiny_patch14_224'])
def test_the_weights_that_timm_made_stay(name, shared_stages):
    """They may be those of a file (pretrained=True)."""
    member = dict(VIT, model_name=name, depth=4)
    model = composite(member, shared_stages=shared_stages)
    before = copy.deepcopy(model.members.state_dict())
    model.init_weights()
    for key, value in model.members.state_dict().items():
        assert torch.equal(value, before[key]), key


def test_the_head_is_gone_and_names_are_timms():
    names = set(TimmBackbone('test_vit').model.state_dict())
    whole = set(timm.create_model('test_vit').state_dict())
    assert (
        whole - names
        == {'norm.weight', 'norm.bias', 'head.weight', 'head.bias'}
        and names < whole
    )


@pytest.mark.parametrize('style', ['slc', 'ahlc', 'allc', 'dhlc', 'fcc'])
def test_members_of_three_kinds_in_every_style(style):
    member = [VIT, tiny_composite()['member'], Stages()]
    model = composite(
        member, style=style, shared_stages=None, num_members=3
    ).train()
    assert all(gradients_or_none(model).values())


REACHING = {
    'begins its own weights': dict(
        type='PyramidVisionTransformer', num_layers=[1, 1, 1, 1]
    ),
    'loads its own weights': dict(
        type='DetectoRS_ResNet',
        depth=50,
        base_channels=8,
        frozen_stages=1,
        conv_cfg=dict(type='ConvAWS'),
        sac=dict(type='SAC', use_deform=False),
        stage_with_sac=(False, True, True, True),
    ),
}


@pytest.mark.parametrize('kind', REACHING)
def test_what_members_share_is_not_reached_for(kind):
    """The methods of a shared stage find nothing where it is not owned."""
    cfg = dict(
        type='CompositeBackbone', shared_stages=1, member=REACHING[kind]
    )
    composite = build_model(cfg)
    composite.init_weights()
    pickled = pickle.dumps(composite)
    for twin in (copy.deepcopy(composite), pickle.loads(pickled)):  # noqa: S301
        twin.load_state_dict(composite.state_dict(), strict=True)
    surplus = {**composite.state_dict(), 'members.1.unknown': torch.zeros(1)}
    with pytest.raises(RuntimeError, match='Unexpected .*members.1.unknown'):
        composite.load_state_dict(surplus, strict=True)
