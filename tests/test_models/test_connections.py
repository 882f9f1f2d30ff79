"""Connections.

1. each style equals its matrix, written out here, for four stages;
2. what an edge computes, upwards, level and downwards, equals the formula;
3. norms never record statistics; zero initialisation adds exactly zero;
4. sums are enlarged on the way up, with the same result and gradients;
5. an unknown style or option is an error that lists those there are.
"""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cbnet.models.backbones import connections
from cbnet.models.backbones.connections import (
    STEM,
    STYLES,
    Connection,
    ConnectionOptions,
    style_edges,
)
from cbnet.models.backbones.resizing import add_enlarged, enlarge
from cbnet.models.members import StageSpec

# rows: target stages 0..3; columns: stem, stages 0..3
MATRICES = {
    'slc': ['.....', '.x...', '..x..', '...x.'],
    'ahlc': ['.x...', '..x..', '...x.', '....x'],
    'allc': ['.....', 'x....', '.x...', '..x..'],
    'dhlc': ['.xxxx', '..xxx', '...xx', '....x'],
    'fcc': ['.xxxx', '.xxxx', '.xxxx', '.xxxx'],
}
SPECS = tuple(StageSpec(*s) for s in [(4, 4, 6, 4), (6, 4, 8, 8)])
NORM = ConnectionOptions(norm_cfg=dict(type='BN'), bias=False)


def test_every_style_has_a_matrix():
    assert set(STYLES) == set(MATRICES)


@pytest.mark.parametrize('style', STYLES)
def test_style_equals_matrix(style):
    expected = {
        (column - 1, target)
        for target, row in enumerate(MATRICES[style])
        for column, mark in enumerate(row)
        if mark == 'x'
    }
    edges = style_edges(style, 4)
    assert set(edges) == expected
    assert len(edges) == len(expected)


def test_unknown_style_lists_the_styles():
    with pytest.raises(ValueError, match="'slc', 'ahlc', 'allc', 'dhlc' or"):
        style_edges('dhcl', 4)


def test_unknown_option_lists_the_options():
    with pytest.raises(ValueError, match="'nrom'.*zero_init"):
        ConnectionOptions().updated(dict(nrom=1))


def test_edges_compute_the_formula():
    options = NORM.updated(dict(zero_init=False))
    join = Connection([(1, 0), (0, 0), (STEM, 1)], SPECS, SPECS, options)
    for module in join.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    join = join.double().eval()
    outputs = {
        STEM: torch.randn(2, 4, 25, 33, dtype=torch.double),
        0: torch.randn(2, 6, 25, 33, dtype=torch.double),
        1: torch.randn(2, 8, 13, 17, dtype=torch.double),
    }

    def w(name, x):  # 1x1 convolution, then scale and shift
        conv, norm = join[name].conv, join[name].norm
        x = torch.einsum('oi,bihw->bohw', conv.weight[:, :, 0, 0], x)
        scale = norm.weight / (1 + norm.eps) ** 0.5
        return x * scale[:, None, None] + norm.bias[:, None, None]

    up = F.interpolate(w('1_to_0', outputs[1]), (25, 33), mode='nearest')
    torch.testing.assert_close(
        join(outputs, 0, (25, 33)), w('0_to_0', outputs[0]) + up
    )
    # Resizing after or before the convolution is the same map.
    down = F.adaptive_avg_pool2d(w('stem_to_1', outputs[STEM]), (13, 17))
    torch.testing.assert_close(join(outputs, 1, (13, 17)), down)
    assert join(outputs, 2, (7, 9)) is None


def test_identity_where_channels_are_equal():
    options = ConnectionOptions(identity=True)
    specs = (StageSpec(4, 4, 4, 4), StageSpec(8, 8, 8, 8))
    join = Connection([(0, 0), (1, 0)], specs, specs, options)
    assert isinstance(join['0_to_0'], nn.Identity)
    assert isinstance(join['1_to_0'].conv, nn.Conv2d)


@pytest.mark.parametrize('options', [NORM, ConnectionOptions()])
def test_zero_init_adds_zero(options):
    join = Connection([(1, 0)], SPECS, SPECS, options)
    added = join({1: torch.randn(1, 8, 2, 2)}, 0, (4, 4))
    assert added.abs().max() == 0
    open_join = Connection(
        [(1, 0)], SPECS, SPECS, options.updated(dict(zero_init=False))
    )
    added = open_join({1: torch.randn(1, 8, 2, 2)}, 0, (4, 4))
    assert added.abs().max() > 0


@pytest.mark.parametrize('options', [NORM, ConnectionOptions(identity=True)])
def test_edges_start_with_a_factor(options):
    specs = (StageSpec(4, 4, 4, 4), StageSpec(4, 4, 8, 8))
    x = torch.randn(1, 8, 2, 2), torch.randn(1, 4, 4, 4)
    for edge, y in zip([(1, 0), (0, 0)], x, strict=True):
        added = []
        for factor in (0.25, 0.5):
            torch.manual_seed(0)
            join = Connection(
                [edge], specs, specs, options.updated(dict(init=factor))
            )
            added.append(join({edge[0]: y}, 0, (4, 4)))
        assert added[0].abs().max() > 0
        torch.testing.assert_close(added[1], 2 * added[0])


@pytest.mark.parametrize('wrong', [0.0, -1, 'one', True])
def test_other_starts_are_refused(wrong):
    with pytest.raises((TypeError, ValueError), match='connection.init'):
        ConnectionOptions().updated(dict(init=wrong))


@pytest.mark.parametrize(
    'norm', [dict(type='IN'), dict(type='BN', affine=False)]
)
def test_norms_without_weights_to_start_with(norm):
    options = NORM.updated(dict(norm_cfg=norm))
    with pytest.raises(ValueError, match='add affine=True'):
        Connection([(1, 0)], SPECS, SPECS, options)
    Connection([(1, 0)], SPECS, SPECS, options.updated(dict(zero_init=False)))
    norm = dict(norm, affine=True)
    Connection([(1, 0)], SPECS, SPECS, NORM.updated(dict(norm_cfg=norm)))


def test_norms_stay_in_eval_mode_and_learn():
    frozen = dict(type='BN', requires_grad=False)  # as in caffe style
    join = Connection(
        [(1, 0)], SPECS, SPECS, NORM.updated(dict(norm_cfg=frozen))
    )
    join.train()
    norm = join['1_to_0'].norm
    assert join.training and not norm.training
    join({1: torch.randn(1, 8, 2, 2)}, 0, (4, 4)).sum().backward()
    assert norm.running_mean.abs().max() == 0
    assert norm.weight.grad is not None and norm.bias.grad is not None


def one_by_one(join, outputs, target, size):
    """Compute the sum over the edges as the paper writes it."""
    total = 0
    for source in join.sources.get(target, ()):
        edge = 'stem' if source == STEM else source
        transform, x = join[f'{edge}_to_{target}'], outputs[source]
        if x.shape[-1] > size[-1] or x.shape[-2] > size[-2]:
            total = total + transform(F.interpolate(x, size, mode='area'))
        else:
            total = total + F.interpolate(transform(x), size, mode='nearest')
    return total


@pytest.mark.parametrize('layout', ['contiguous_format', 'channels_last'])
@pytest.mark.parametrize('style', STYLES)
def test_sums_on_the_way_up_are_the_same(style, layout):
    strides = [(4, 4), (4, 8), (8, 16), (16, 32)]
    specs = tuple(
        StageSpec(3 + i, a, 4 + i, b) for i, (a, b) in enumerate(strides)
    )
    edges = style_edges(style, 4)
    join = Connection(edges, specs, specs, NORM.updated(dict(zero_init=False)))
    join = join.double().to(memory_format=getattr(torch, layout))
    for image in [(64, 96), (97, 131), (160, 240), (32, 32)]:
        sides = {STEM: 4} | {i: b for i, (_, b) in enumerate(strides)}
        outputs = {
            i: torch.randn(
                2, 4 + i if i >= 0 else 3, *sizes, dtype=torch.double
            )
            .to(memory_format=getattr(torch, layout))
            .requires_grad_()
            for i, side in sides.items()
            for sizes in [[-(-pixels // side) for pixels in image]]
        }
        leaves = [*outputs.values(), *join.parameters()]
        for target, (stride, _) in enumerate(strides):
            size = tuple(-(-pixels // stride) for pixels in image)
            found = join(outputs, target, size)
            expected = one_by_one(join, outputs, target, size)
            if found is None:
                assert isinstance(expected, int)
                continue
            torch.testing.assert_close(found, expected)
            gradients = (
                torch.autograd.grad(
                    y.square().sum(), leaves, allow_unused=True
                )
                for y in (found, expected)
            )
            for a, b in zip(*gradients, strict=True):
                torch.testing.assert_close(a, b)


def test_the_full_size_is_computed_once(monkeypatch):
    sums = []
    monkeypatch.setattr(
        connections,
        'add_enlarged',
        lambda x, y: sums.append(tuple(x.shape[-2:])) or add_enlarged(x, y),
    )
    specs = tuple(StageSpec(4, s, 4, s) for s in (4, 8, 16, 32))
    join = Connection(style_edges('dhlc', 4), specs, specs, NORM)
    for side, expected in [(64, [4, 8, 16]), (60, [15, 15, 15])]:
        outputs = {
            i: torch.randn(1, 4, *[-(-side // s)] * 2)
            for i, s in enumerate((4, 8, 16, 32))
        }
        join(outputs, 0, (side // 4, side // 4))
        assert [rows for rows, _ in sums] == expected
        sums.clear()


@pytest.mark.parametrize('layout', ['contiguous_format', 'channels_last'])
@pytest.mark.parametrize('factor', [1, 2, 3, 8])
def test_repeated_rows_and_columns_are_the_nearest(layout, factor):
    small, large = (
        torch.randn(2, 5, 3 * k, 4 * k).to(
            memory_format=getattr(torch, layout)
        )
        for k in (1, factor)
    )
    size = large.shape[-2:]
    expected = F.interpolate(small, size, mode='nearest')
    found = enlarge(small, size)
    assert torch.equal(found, expected)
    assert found.stride() == large.stride()
    found = add_enlarged(large, small)
    assert torch.equal(found, large + expected)
    assert found.stride() == large.stride()
