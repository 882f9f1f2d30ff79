"""Files of Swin Transformers are loaded into mmdet's Swin.

1. Microsoft's, timm's (whole, and with ``features_only``), torchvision's and
   mmpretrain's files give the same maps as the code that they come from, to
   1e-9 in float64; the report names the layout and the remaining entries;
2. for other windows and image sizes, tables and absolute positions are
   resized as in Microsoft's detection code, and nothing else is;
3. a lead that shares stages loads what it owns, as a whole member does;
4. deeper, shallower and wider Swins, those with absolute positions, without
   biases or for other channels, and version 2 are refused with a
   description, and the member is unchanged.
"""

import copy

import pytest
import timm
import torch
import torch.nn.functional as F
from torchvision.models.swin_transformer import SwinTransformer

from cbnet.pretrained import init_member
from cbnet.testing import build_model

from .pretrained_files import (
    SWIN,
    agree,
    load,
    member,
    microsoft_names,
    seeded,
    timm_swin,
)

TABLES = tuple(
    f'stages.{stage}.blocks.{block}.attn.w_msa.relative_position_bias_table'
    for stage, depth in enumerate(SWIN['depths'])
    for block in range(depth)
)


def image(side=64):
    generator = torch.Generator().manual_seed(7)
    return torch.randn(2, 3, side, side, generator=generator).double()


def normed(maps):
    """Apply initial output norms to maps (B, C, H, W)."""
    for y in maps:
        y = F.layer_norm(y.permute(0, 2, 3, 1), y.shape[1:2])
        yield y.permute(0, 3, 1, 2)


def fresh():
    """Build a member with initial norms, which such files lack."""
    backbone = member(SWIN)
    for i in range(4):
        torch.nn.init.ones_(getattr(backbone, f'norm{i}').weight)
        torch.nn.init.zeros_(getattr(backbone, f'norm{i}').bias)
    return backbone


@pytest.mark.parametrize('layout', ['microsoft', 'timm', 'timm features'])
def test_timm_and_microsoft(layout):
    model = timm_swin()
    with torch.no_grad():
        maps = model.forward_intermediates(image(), intermediates_only=True)
    title = "timm's Swin"
    if layout == 'timm':
        file = model.state_dict()
    elif layout == 'timm features':
        file = timm_swin(features_only=True).state_dict()
        whole = model.state_dict()
        for name in file:
            assert name.startswith(('patch_embed', 'layers_'))
            file[name] = whole[name.replace('_', '.', name[0] == 'l')]
    else:
        title = "Microsoft's Swin"
        file = {'model': microsoft_names(model), 'epoch': 3}
    backbone = fresh()
    report = load(backbone, file)
    with torch.no_grad():
        agree(backbone(image()), list(normed(maps)))

    assert report.layout == title
    own = set(backbone.state_dict())
    assert set(report.new) == {n for n in own if n.startswith('norm')}
    index = {n for n in own if n.endswith('relative_position_index')}
    assert set(report.loaded) == own - set(report.new) - index
    same = {'patch_embed.norm.weight', 'patch_embed.norm.bias'}
    assert set(report.renamed) == set(report.loaded) - same
    assert not report.resized and not report.shared
    if layout == 'microsoft':
        assert {'head.weight', 'norm.weight'} <= set(report.ignored)
        assert 'stages.2.blocks.1.attn_mask' in report.ignored
        assert index <= set(report.ignored)
        assert str(report).startswith(
            f'loaded {len(report.loaded)} entries of net.pth under '
            f"'model.'; renamed {len(report.renamed)} (Microsoft's Swin); "
            f'resized 0; shared 0; new 8 (norm0.weight, '
        )
    else:
        assert not any('stages.' in name for name in report.ignored)


def test_torchvision():
    model = seeded(
        SwinTransformer([4, 4], 8, SWIN['depths'], SWIN['num_heads'], [4, 4])
    )
    # A map of one window is not shifted there, but is in mmdet's; so the
    # image is one where every map is larger.
    maps, x = [], image(256)
    with torch.no_grad():
        for i, layer in enumerate(model.features):
            x = layer(x)
            if i % 2:
                maps.append(x.permute(0, 3, 1, 2))
    backbone = fresh()
    report = load(backbone, model.state_dict())
    with torch.no_grad():
        agree(backbone(image(256)), list(normed(maps)))
    assert report.layout == "torchvision's Swin"
    assert len(report.ignored) == 4 + len(TABLES)


def test_mmpretrain():
    """Names are mmdet's; a classifier has the last output norm."""
    truth = member(SWIN, seed=2)
    weights = {
        f'backbone.{name}': value
        for name, value in truth.state_dict().items()
        if not name.startswith(('norm0', 'norm1', 'norm2'))
    }
    weights['head.fc.weight'] = torch.zeros(10, 64)
    backbone = member(SWIN)
    before = backbone.norm0.weight.clone()
    report = load(backbone, {'state_dict': weights, 'meta': {'epoch': 1}})
    assert report.path == 'state_dict.backbone.'
    assert not report.renamed and report.outside == 1
    assert {name.partition('.')[0] for name in report.new} == {
        'norm0', 'norm1', 'norm2',
    }  # fmt: skip
    assert torch.equal(backbone.norm0.weight, before)
    assert torch.equal(backbone.norm3.weight, truth.norm3.weight)
    assert torch.equal(
        backbone.stages[2].downsample.reduction.weight,
        truth.stages[2].downsample.reduction.weight,
    )


@pytest.mark.parametrize(('theirs', 'ours'), [(4, 7), (7, 4), (2, 3)])
def test_windows_are_resized(theirs, ours):
    model = timm_swin(theirs)
    backbone = member(dict(SWIN, window_size=ours))
    report = load(backbone, {'model': microsoft_names(model, theirs)})
    assert report.resized == TABLES
    found = backbone.state_dict()
    for name in TABLES:
        stage, block = name.split('.')[1:4:2]
        table = model.layers[int(stage)].blocks[int(block)].attn
        table = table.relative_position_bias_table
        side, new = 2 * theirs - 1, 2 * ours - 1
        for head in range(table.shape[1]):
            grid = table[:, head].view(1, 1, side, side)
            grid = F.interpolate(grid, (new, new), mode='bicubic')
            assert torch.equal(found[name][:, head], grid.flatten())
        index = name.replace('bias_table', 'index')
        fresh_index = build_model(dict(SWIN, window_size=ours)).state_dict()
        assert torch.equal(found[index], fresh_index[index])
    assert f'resized {len(TABLES)} (stages.*.blocks.*' in str(report)


def test_windows_of_a_timm_member_are_resized():
    small = dict(
        type='TimmBackbone', model_name='swin_tiny_patch4_window7_224',
        embed_dim=8, depths=(1, 1, 1, 1), num_heads=(1, 1, 2, 2),
    )  # fmt: skip
    theirs = build_model(dict(small, window_size=4))
    ours = build_model(dict(small, window_size=7))
    report = load(ours, theirs.model.state_dict())
    assert len(report.resized) == 4 and not report.new
    name = 'layers.0.blocks.0.attn.relative_position_bias_table'
    grid = theirs.model.get_parameter(name).view(1, 1, 7, 7)
    grid = F.interpolate(grid, (13, 13), mode='bicubic').flatten()
    assert torch.equal(ours.model.get_parameter(name).flatten(), grid)


def test_tables_that_cannot_be_resized_are_refused():
    beit = dict(
        type='TimmBackbone', model_name='beit_base_patch16_224', depth=4,
        embed_dim=24, num_heads=2,
    )  # fmt: skip
    file = build_model(dict(beit, img_size=96)).model.state_dict()
    backbone = build_model(dict(beit, img_size=64))
    before = {n: w.clone() for n, w in backbone.state_dict().items()}
    with pytest.raises(ValueError, match='does not fit TimmBackbone, nothing'):
        load(backbone, file)
    for name, weight in backbone.state_dict().items():
        assert torch.equal(weight, before[name]), name


@pytest.mark.parametrize('form', ['tokens', 'map'])
@pytest.mark.parametrize('size', [64, 96])
def test_absolute_positions(form, size):
    weights = microsoft_names(timm_swin())
    grid = torch.randn(1, 8, 16, 16).double()
    weights['absolute_pos_embed'] = (
        grid if form == 'map' else grid.flatten(2).transpose(1, 2)
    )
    cfg = dict(SWIN, use_abs_pos_embed=True, pretrain_img_size=size)
    backbone = member(cfg)
    report = load(backbone, weights)
    if size == 96:
        grid = F.interpolate(grid, (24, 24), mode='bicubic')
    wanted = grid.flatten(2).transpose(1, 2)
    assert torch.equal(backbone.absolute_pos_embed, wanted)
    assert report.resized == ('absolute_pos_embed',) * (size == 96)


def test_half_precision_is_resized():
    weights = microsoft_names(timm_swin(7), 7)
    exact, half = member(SWIN), member(SWIN)
    load(exact, weights)
    report = load(
        half,
        {k: v.half() if v.is_floating_point() else v
         for k, v in weights.items()},
    )  # fmt: skip
    assert report.resized == TABLES
    one, two = exact.state_dict(), half.state_dict()
    assert all((one[n] - two[n]).abs().max() < 5e-3 for n in TABLES)


@pytest.mark.parametrize('shared', [0, 2, 4])
def test_a_lead_that_shares_stages(tmp_path, shared):
    """Here, mmdet's own loader looks up tables of removed stages."""
    torch.save({'model': microsoft_names(timm_swin(7), 7)}, tmp_path / 'a.pth')
    source = str(tmp_path / 'a.pth')
    cfg = dict(SWIN, init_cfg=dict(type='Pretrained', checkpoint=source))
    composite = build_model(
        dict(type='CompositeBackbone', member=cfg, shared_stages=shared)
    )
    composite.init_weights()
    whole, lead = (m.state_dict() for m in composite.members)
    alone = build_model(SWIN)
    report = init_member_of(alone, source)
    assert len(report.resized) == len(TABLES)
    for name, value in alone.state_dict().items():
        assert torch.equal(value, whole[name])
        if name in lead:
            assert torch.equal(value, lead[name])
    gone = {f'stages.{i}' for i in range(shared)} | {'patch_embed'}
    assert not any(name.startswith(tuple(gone)) for name in lead)
    assert all(f'stages.{i}' in '\n'.join(lead) for i in range(shared, 4))


def init_member_of(backbone, source):
    backbone.init_cfg = dict(type='Pretrained', checkpoint=source)
    return init_member(backbone, frozenset(backbone.state_dict()), 'alone')


SMALL = 'a Swin with depths (1, 1, 2, 1), 8 channels, windows of 4'


@pytest.mark.parametrize(
    ('theirs', 'ours', 'messages'),
    [
        (dict(depths=(1, 1, 4, 1)), {}, ['The file: a Swin with depths '
         '(1, 1, 4, 1), 8 ch', f'The member: {SMALL}', 'The member lacks']),
        ({}, dict(depths=(1, 1, 4, 1)), [f'The file: {SMALL}',
         'The file lacks 26 (stages.*.blocks.*.norm1.weight x2, ']),
        (dict(embed_dim=16), {}, ['16 channels', 'differ in shape', ', and ']),
        (dict(num_heads=(1, 1, 2, 4)), {}, ['1 differs in shape',
         'relative_position_bias_table (49, 4) instead of (49, 2)']),
        (dict(in_chans=1), {}, ['images of 1 channels, the member of 3']),
        ({}, dict(use_abs_pos_embed=True), ['lacks 1 (absolute_pos_embed)']),
        ({}, dict(qkv_bias=False), ['The member lacks 5 (stages.*.blocks.*.'
         'attn.w_msa.qkv.bias x5)']),
        ({}, dict(patch_norm=False), ['The member lacks']),
    ],
    ids=['deeper', 'shallower', 'wider', 'heads', 'grey', 'positions',
         'bias', 'patch norm'],
)  # fmt: skip
@pytest.mark.parametrize('layout', ['microsoft', 'timm', 'mmdet'])
def test_another_swin_is_refused(theirs, ours, messages, layout):
    options = dict(
        img_size=64,
        embed_dim=8,
        depths=(1, 1, 2, 1),
        num_heads=(1, 1, 2, 2),
        window_size=4,
        always_partition=True,
    )
    model = timm.create_model(
        'swin_tiny_patch4_window7_224', **options | theirs
    )
    weights = model.state_dict()
    if layout == 'microsoft':
        weights = {'model': microsoft_names(model)}
    if layout == 'mmdet':
        same = dict(embed_dim='embed_dims', in_chans='in_channels')
        theirs = {same.get(k, k): v for k, v in theirs.items()}
        weights = {'state_dict': member(dict(SWIN, **theirs)).state_dict()}
    backbone = member(dict(SWIN, **ours))
    before = copy.deepcopy(backbone.state_dict())
    with pytest.raises(ValueError, match='does not fit SwinT') as error:
        load(backbone, weights, source='other.pth')
    text = str(error.value)
    assert text.startswith("checkpoint='other.pth' does not fit")
    for message in messages:
        assert message in text
    for name, value in backbone.state_dict().items():
        assert torch.equal(value, before[name])


def test_absolute_positions_without_a_place_are_refused():
    weights = microsoft_names(timm_swin())
    weights['absolute_pos_embed'] = torch.zeros(1, 256, 8)
    with pytest.raises(ValueError, match=r'lacks 1 \(absolute_pos_embed\)'):
        load(member(SWIN), weights)


def test_version_2_is_refused():
    model = timm.create_model(
        'swinv2_tiny_window8_256',
        img_size=64,
        embed_dim=8,
        depths=SWIN['depths'],
        num_heads=SWIN['num_heads'],
        window_size=4,
    )
    with pytest.raises(ValueError, match=r'The file: a Swin V2 with depths'):
        load(member(SWIN), model.state_dict())


def test_merging_of_another_size_is_refused():
    weights = microsoft_names(timm_swin())
    weights['layers.0.downsample.norm.weight'] = torch.zeros(30)
    with pytest.raises(ValueError, match=r'net.pth.*downsample.norm.*\(30,\)'):
        load(member(SWIN), weights)
