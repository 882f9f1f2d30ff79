"""The published layout of Swin composites is converted.

1. golden values of published Swin composites, float64, 1e-9: both members,
   what is added at each stage, the FPN; odd sizes, shared stages, training
   mode;
2. a second implementation of the published composite, confirmed by the same
   golden values, agrees with the converted one for every ``cb_del_stages``,
   other windows, widths and depths, absolute positions, and a training step
   without drop path;
3. the report names the permuted and the dropped entries; all others are the
   same tensors; a whole state dict and that of a backbone convert alike.
"""

import pytest
import torch

from cbnet.converters import convert_published
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
from .swin_reference import pyramids, shapes_of

CASES = read_cases('published_swins.json')
FPN = dict(type='FPN', out_channels=32, num_outs=5)


def compute(composite, image):
    """Both pyramids and what was added, (B, C, H, W)."""
    added = added_by(composite)
    with torch.no_grad():
        found = composite(image, all_members=True)
    return found, added


@pytest.mark.parametrize('name', CASES)
@pytest.mark.parametrize('ours', [True, False], ids=['converted', 'reference'])
def test_golden_values(name, ours):
    case = CASES[name]
    cfg, seed = case['backbone'], case['seed']
    shapes = shapes_of(
        cfg['embed_dim'],
        cfg['depths'],
        cfg['num_heads'],
        cfg['window_size'],
        cfg['cb_del_stages'],
    )
    weights = seeded_weights(
        {f'backbone.{n}': s for n, s in shapes.items()}, seed
    )
    weights = part(weights, 'backbone.')
    image = seeded_image(case['shape'], seed)
    if ours:
        composite = load_composite(cfg, weights)
        count = sum(p.numel() for p in composite.parameters())
        assert count == case['params']
        composite.train(case['mode'] == 'train')
        found, added = compute(composite, image)
    else:
        found, added = pyramids(
            weights, image, cfg['num_heads'], cfg['window_size']
        )
    maps = {
        f'backbone.{k}.{i}': y
        for k, ys in enumerate(found)
        for i, y in enumerate(ys)
    }
    for i, y in added.items():  # tokens (B, H * W, C)
        maps[f'cb_feats.{i}'] = y.flatten(2).transpose(1, 2)
    if any(key.startswith('neck') for key in case['outputs']):
        maps |= necks(found, seed)
    assert set(maps) == set(case['outputs'])
    for key, y in maps.items():
        agree(y, case['outputs'][key])


def necks(found, seed):
    channels = [y.shape[1] for y in found[0]]
    fpn = build_model(dict(FPN, in_channels=channels)).double()
    shapes = {f'neck.{n}': t.shape for n, t in fpn.state_dict().items()}
    weights = part(seeded_weights(shapes, seed), 'neck.')
    fpn.load_state_dict(weights, strict=True)
    return {
        f'neck_train.{k}.{i}': y
        for k, ys in enumerate(found)
        for i, y in enumerate(fpn(ys))
    }


SMALL = dict(depths=[2, 2, 2, 2], num_heads=[1, 2, 4, 8], window_size=7)
OTHERS = {
    **{f'd{d}': dict(cb_del_stages=d) for d in (-1, 0, 1, 2, 3, 4, 5)},
    'default d': {},
    'windows': dict(window_size=4, depths=[1, 3, 2, 1], cb_del_stages=1),
    'large window': dict(window_size=12, num_heads=[2, 2, 2, 4]),
    **{
        f'positions, d{d}': dict(
            ape=True, pretrain_img_size=64, cb_del_stages=d
        )
        for d in (-1, 0, 1, 3)
    },
    'positions of an oblong': dict(ape=True, pretrain_img_size=(64, 96)),
    'frozen, rates': dict(frozen_stages=3, drop_path_rate=0.0, d=2),
}


def published_shapes(cfg):
    size = cfg.get('pretrain_img_size', 224)
    size = (size, size) if isinstance(size, int) else size
    return shapes_of(
        cfg['embed_dim'],
        cfg['depths'],
        cfg['num_heads'],
        cfg['window_size'],
        cfg.get('cb_del_stages', 1),
        [side // 4 for side in size] if cfg.get('ape') else None,
    )


def other_case(name):
    cfg = dict(SMALL, type='CBSwinTransformer', embed_dim=8, **{})
    cfg.update(OTHERS[name])
    if 'd' in cfg:
        cfg['cb_del_stages'] = cfg.pop('d')
    weights = seeded_weights(published_shapes(cfg), seed=len(name))
    return cfg, weights


@pytest.mark.parametrize('name', OTHERS)
def test_the_reference_agrees(name):
    cfg, weights = other_case(name)
    image = seeded_image([2, 3, 75, 99], 5)
    composite = load_composite(cfg, weights)
    composite.train('rates' in name)  # without drop path: the same
    found, added = compute(composite, image)
    theirs, their_added = pyramids(
        weights, image, cfg['num_heads'], cfg['window_size']
    )
    assert set(added) == set(their_added)
    pairs = [(added[i], their_added[i]) for i in added]
    pairs += [
        pair
        for ours, other in zip(found, theirs, strict=True)
        for pair in zip(ours, other, strict=True)
    ]
    for y, expected in pairs:
        torch.testing.assert_close(
            y, expected, rtol=0, atol=1e-9 * expected.abs().max().item()
        )


@pytest.mark.parametrize('prefix', ['', 'backbone.'])
def test_the_report(prefix):
    _, weights = other_case('positions, d0')
    done = convert_published({prefix + n: w for n, w in weights.items()})
    assert done.dropped == [f'{prefix}cb_modules.1.absolute_pos_embed']
    merging = {
        f'{prefix}cb_modules.{k}.layers.{i}.downsample.{leaf}'
        for k in range(2)
        for i in range(3)
        for leaf in ('reduction.weight', 'norm.weight', 'norm.bias')
    }
    assert set(done.permuted) == merging | {
        f'{prefix}cb_modules.0.absolute_pos_embed'
    }
    assert len(done.weights) == len(weights) - 1
    same = {id(w) for w in done.weights.values()}
    changed = [n for n, w in weights.items() if id(w) not in same]
    assert {prefix + n for n in changed} == set(done.permuted + done.dropped)
