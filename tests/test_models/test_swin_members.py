"""What Swin members have of their own.

1. a later member keeps its own norms of the stages that it shares;
2. every parameter gets a gradient, for each style and ``shared_stages``,
   without DDP having to look for unused ones;
3. the published connections: identity on equal channels, convolutions with
   bias and without norm, normed sources; at the start the lead receives the
   assistant's normed maps and nothing else;
4. absolute positions: mmdet's at the pretraining size, resized elsewhere,
   also of oblong images, owned by the first member alone;
5. drop path: each member has the published linear schedule, and one member
   draws what mmdet draws;
6. frozen stages are frozen before DDP looks, in pruned members too;
7. fewer output stages than the connections read: an error that says how;
8. odd sizes, activation checkpointing of blocks and of stages, bf16.
"""

import copy

import pytest
import torch
import torch.nn.functional as F

from cbnet.models.backbones import STYLES, CompositeBackbone
from cbnet.models.members import adapt
from cbnet.testing import TINY_MEMBERS, build_model, tiny_composite

IMAGE = torch.randn(2, 3, 97, 131)
SWIN = TINY_MEMBERS['swin']


def composite_of(member=None, **options):
    cfg = dict(SWIN, **(member or {}))
    return build_model(dict(type='CompositeBackbone', member=cfg, **options))


def randomised(model, seed=0):
    generator = torch.Generator().manual_seed(seed)
    for p in model.parameters():
        p.data = torch.randn(p.shape, generator=generator) * 0.2
    return model


@pytest.mark.parametrize('shared_stages', [0, 1, 2, 3, 4])
def test_shared_stages_keep_their_own_norms(shared_stages):
    model = randomised(
        composite_of(num_members=3, shared_stages=shared_stages)
    ).eval()
    first, *later = model(IMAGE, all_members=True)
    for k, pyramid in enumerate(later, 1):
        for i, (a, b) in enumerate(zip(first, pyramid, strict=True)):
            assert not torch.equal(a, b)
            if i < shared_stages:  # the same map under two norms
                norms = [getattr(model.members[n], f'norm{i}') for n in (0, k)]
                raw = [
                    (y.permute(0, 2, 3, 1) - n.bias) / n.weight
                    for y, n in zip((a, b), norms, strict=True)
                ]
                torch.testing.assert_close(*raw, atol=1e-3, rtol=1e-3)
    own = {n.split('.')[0] for n, _ in model.members[2].named_parameters()}
    assert own == {f'norm{i}' for i in range(4)} | (
        {'stages'} if shared_stages < 4 else set()
    )


@pytest.mark.parametrize('style', STYLES)
@pytest.mark.parametrize('shared_stages', [None, 0, 1, 2, 3, 4])
def test_every_parameter_gets_a_gradient(style, shared_stages):
    model = randomised(
        composite_of(style=style, num_members=3, shared_stages=shared_stages)
    ).train()
    pyramids = model(IMAGE, all_members=True)
    sum(y.square().sum() for p in pyramids for y in p).backward()
    for name, p in model.named_parameters():
        assert p.grad is not None and p.grad.abs().max() > 0, name


def test_published_connections_at_the_start():
    model = composite_of().eval()
    names = set(model.connections.state_dict())
    assert names == {
        f'0.{s}_to_{t}.conv.{leaf}'
        for t in range(4)
        for s in range(t + 1, 4)
        for leaf in ('weight', 'bias')
    }
    assert not any(p.any() for p in model.connections.parameters())
    added = {}
    model.connections[0].register_forward_hook(
        lambda _, args, output: added.update({args[1]: output})
    )
    assistant, _ = model(IMAGE, all_members=True)
    for i, y in enumerate(assistant):
        assert torch.equal(added[i], y)


POSITIONS = dict(use_abs_pos_embed=True, pretrain_img_size=(64, 96))


def test_absolute_positions_equal_mmdets():
    plain = randomised(build_model(dict(SWIN, **POSITIONS)))
    plain.eval()
    model = composite_of(POSITIONS, num_members=1, fast=False).eval()
    model.members[0].load_state_dict(plain.state_dict())
    image = torch.randn(2, 3, 64, 96)
    for a, b in zip(plain(image), model(image), strict=True):
        assert torch.equal(a, b)


def test_absolute_positions_are_resized():
    model = randomised(composite_of(POSITIONS, num_members=1)).eval()
    without = copy.deepcopy(model)
    without.members[0].use_abs_pos_embed = False
    stem = [m.adapters[0].stem(IMAGE) for m in (model, without)]
    grid = model.members[0].absolute_pos_embed.view(1, 16, 24, 8)
    expected = F.interpolate(
        grid.permute(0, 3, 1, 2), (25, 33), mode='bicubic'
    )
    torch.testing.assert_close(
        stem[0] - stem[1], expected.expand(2, -1, -1, -1)
    )


def test_absolute_positions_of_a_built_backbone():
    plain = build_model(
        dict(SWIN, use_abs_pos_embed=True, pretrain_img_size=64)
    )
    model = CompositeBackbone([plain], num_members=1, fast=False).eval()
    plain.eval()
    for image in (torch.randn(1, 3, 64, 64), IMAGE):
        stem = model.adapters[0].stem(image)
        assert stem.shape[-2:] == tuple(-(-n // 4) for n in image.shape[-2:])
    image = torch.randn(1, 3, 64, 64)
    for a, b in zip(plain(image), model(image), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize('shared_stages', [None, 0, 2])
def test_absolute_positions_belong_to_who_embeds(shared_stages):
    member = dict(POSITIONS, frozen_stages=1)
    model = composite_of(member, shared_stages=shared_stages)
    owners = [
        name
        for name, p in model.named_parameters()
        if name.endswith('absolute_pos_embed') and not p.requires_grad
    ]
    assert len(owners) == (2 if shared_stages is None else 1)
    model.train()  # freezes again, in members without positions too
    model(IMAGE)


def test_drop_path():
    model = composite_of(dict(drop_path_rate=0.3), num_members=2)
    for member in model.members:
        rates = [
            dropout.drop_prob
            for stage in member.stages
            for block in stage.blocks
            for dropout in (block.attn.drop, block.ffn.dropout_layer)
        ]
        expected = torch.linspace(0, 0.3, 6).repeat_interleave(2)
        torch.testing.assert_close(torch.tensor(rates), expected)
    rates = dict(drop_path_rate=0.3, drop_rate=0.2)
    plain = build_model(dict(SWIN, **rates))
    lone = composite_of(rates, num_members=1, fast=False).train()
    lone.members[0].load_state_dict(plain.state_dict())
    maps = []
    for net in (plain, lone):
        torch.manual_seed(0)
        maps.append(net(IMAGE))
    assert all(map(torch.equal, *maps))


@pytest.mark.parametrize('shared_stages', [None, 0, 1, 3])
def test_frozen_before_ddp_looks(shared_stages):
    model = composite_of(dict(frozen_stages=2), shared_stages=shared_stages)
    frozen = {n for n, p in model.named_parameters() if not p.requires_grad}
    parts = ('patch_embed', 'stages.0', 'stages.1', 'norm0', 'norm1')
    assert frozen == {
        name
        for name, _ in model.named_parameters()
        if name.startswith(
            tuple(f'members.{k}.{part}.' for k in (0, 1) for part in parts)
        )
    }
    model.train()
    after = {n for n, p in model.named_parameters() if not p.requires_grad}
    assert after == frozen
    assert not model.members[0].stages[1].training


def test_fewer_output_stages():
    member = dict(out_indices=(1, 2, 3))
    with pytest.raises(ValueError, match='stage 0, but member 0 has no norm'):
        composite_of(member)
    model = randomised(composite_of(out_indices=(1, 2, 3)))
    assert [y.shape[1] for y in model(IMAGE)] == [16, 32, 64]
    names = {n for n, _ in model.named_parameters() if '.norm0.' in n}
    assert {n.split('.')[1] for n in names} == {'0'}  # read by a connection
    pyramids = model(IMAGE, all_members=True)
    sum(y.square().sum() for p in pyramids for y in p).backward()
    assert all(p.grad is not None for p in model.parameters())
    # without connections that read normed maps the members' say is enough
    assert len(composite_of(member, style='slc', shared_stages=2)(IMAGE)) == 3
    with pytest.raises(ValueError, match='out_indices=.0, 4.; expected'):
        composite_of(out_indices=(0, 4))


@pytest.mark.parametrize('options', [dict(with_cp=True), {}])
def test_checkpointing_changes_nothing(options):
    """Of blocks (the member's option) or stages (the composite's)."""
    member = {} if options else dict(with_cp=True)
    plain = randomised(composite_of()).train()
    saving = composite_of(member, **options).train()
    saving.load_state_dict(plain.state_dict())
    for model in (plain, saving):
        sum(y.square().mean() for y in model(IMAGE)).backward()
    pairs = zip(plain.named_parameters(), saving.parameters(), strict=True)
    for (name, a), b in pairs:
        torch.testing.assert_close(a.grad, b.grad, msg=name)


def test_bf16_runs():
    with torch.autocast('cpu', dtype=torch.bfloat16):
        maps = composite_of()(IMAGE)
    assert all(y.isfinite().all() for y in maps)


def test_mixed_with_another_family():
    model = build_model(tiny_composite(['resnet', 'swin'], shared_stages=None))
    assert len(model(IMAGE, all_members=True)) == 2
    model = build_model(tiny_composite(['swin', 'resnet'], shared_stages=None))
    assert len(model(IMAGE, all_members=True)) == 2


def test_the_published_number_of_shared_stages():
    assert adapt(build_model(SWIN)).published_shared_stages == 0
    resnet = build_model(TINY_MEMBERS['resnet'])
    assert adapt(resnet).published_shared_stages == 1
