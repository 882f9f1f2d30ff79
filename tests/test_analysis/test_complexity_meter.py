"""The meter compared with formulas written out by hand.

1. Convolutions with stride and groups, transposed convolutions, linear
   layers, both deformable convolutions (with and without mmcv's compiled
   operators, which refuse meta tensors), window attention and torch's own
   attention; each also by the published rule.
2. A module accounts only for what it runs itself.
3. A run that fails is read up to the failure, and the model is left clean.
"""

import mmcv.ops.deform_conv
import mmcv.ops.modulated_deform_conv
import pytest
import torch
from mmcv.ops import DeformConv2dPack, ModulatedDeformConv2dPack
from mmdet.models.backbones.swin import WindowMSA
from torch import nn

from cbnet.analysis.complexity.meter import (
    ATTENTION,
    CONVOLUTIONS,
    DEFORMABLE,
    LINEAR,
    metered,
)


def read(module, *inputs):
    module = module.to('meta').eval()
    with metered(module) as reading:
        module(*[torch.empty(shape, device='meta') for shape in inputs])
    return reading


def test_convolution():
    layer = nn.Conv2d(8, 12, (3, 5), stride=2, padding=(1, 2), groups=4)
    reading = read(layer, (2, 8, 9, 13))
    macs = 2 * 5 * 7 * 12 * (8 // 4) * 15
    assert reading.macs == {'': macs}
    assert reading.kinds == {CONVOLUTIONS: macs}
    assert reading.published == {'': macs + 2 * 5 * 7 * 12}


def test_transposed_convolution():
    reading = read(nn.ConvTranspose2d(8, 6, 2, stride=2), (3, 8, 7, 5))
    macs = 3 * 7 * 5 * 8 * 6 * 4
    assert reading.kinds == {CONVOLUTIONS: macs}
    assert reading.published == {'': macs + 3 * 6 * 14 * 10}


@pytest.mark.parametrize('bias', [True, False])
def test_linear(bias):
    reading = read(nn.Linear(7, 5, bias=bias), (2, 11, 7))
    assert reading.kinds == {LINEAR: 2 * 11 * 7 * 5}
    assert reading.published == {'': 2 * 11 * 7 * 5}


def test_layers_that_only_the_published_rule_counts():
    layers = nn.Sequential(nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2))
    reading = read(layers, (1, 4, 6, 8))
    assert sum(reading.macs.values()) == 0
    assert reading.published == {'0': 2 * 192, '1': 192, '2': 192}


@pytest.fixture(params=['served', 'compiled'])
def operators(request, monkeypatch):
    """Leave mmcv's operators, or let them refuse meta tensors."""

    def refuse(*args, **kwargs):
        raise RuntimeError('not compiled for meta tensors')

    if request.param == 'compiled':
        for module, name in (
            (mmcv.ops.deform_conv, 'deform_conv_forward'),
            (mmcv.ops.modulated_deform_conv, 'modulated_deform_conv_forward'),
        ):
            monkeypatch.setattr(module.ext_module, name, refuse)


def test_modulated_deformable_convolution(operators):
    layer = ModulatedDeformConv2dPack(
        8, 6, 3, stride=2, padding=1, groups=2, deform_groups=2, bias=True
    )
    reading = read(layer, (2, 8, 10, 13))
    pixels = 2 * 5 * 7
    macs = pixels * 6 * (8 // 2) * 9
    # For each of 2 groups and 9 places: y, x and a factor.
    offsets = pixels * 2 * 9 * 3 * 8 * 9
    assert reading.kinds == {DEFORMABLE: macs, CONVOLUTIONS: offsets}
    assert reading.macs == {'': macs, 'conv_offset': offsets}
    assert reading.published == {'conv_offset': offsets + pixels * 54}


def test_deformable_convolution(operators):
    layer = DeformConv2dPack(8, 6, 3, padding=2, dilation=2, groups=2)
    reading = read(layer, (1, 8, 10, 13))
    macs, offsets = 130 * 6 * 4 * 9, 130 * 18 * 8 * 9
    assert reading.kinds == {DEFORMABLE: macs, CONVOLUTIONS: offsets}


def test_window_attention():
    windows, side, channels = 5, 3, 8
    layer = WindowMSA(channels, num_heads=2, window_size=(side, side))
    tokens = windows * side**2
    reading = read(layer, (windows, side**2, channels))
    products = 2 * tokens * side**2 * channels  # q k^T, attention v
    linear = tokens * channels * (3 * channels + channels)
    assert reading.kinds == {ATTENTION: products, LINEAR: linear}
    assert sum(reading.published.values()) == linear


def test_torch_attention():
    layer = nn.MultiheadAttention(8, 2, batch_first=True)
    reading = read(layer, *[(2, 9, 8)] * 3)
    products = 2 * 2 * 9 * 9 * 8
    assert reading.kinds[ATTENTION] == products
    assert reading.kinds[LINEAR] == 2 * 9 * 8 * (3 * 8 + 8)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(4, 6), nn.Linear(6, 4))
        self.broken = nn.Linear(5, 5)

    def forward(self, x, fail=False):
        x = self.inner(self.inner(x)) @ x.new_empty(4, 3)
        return self.broken(x) if fail else x


def test_modules_account_for_themselves():
    reading = read(Block(), (2, 4))
    assert reading.macs['inner.0'] == reading.macs['inner.1'] == 2 * 48
    assert reading.macs['inner'] == 0
    assert reading.macs[''] == 2 * 4 * 3
    assert sum(reading.macs.values()) == sum(reading.kinds.values())
    assert 'broken' not in reading.macs


def test_pieces_called_from_outside_keep_their_names():
    model = Block().to('meta')
    with metered(model) as reading:
        model.inner[1](torch.empty(1, 6, device='meta'))
        torch.empty(2, 3, device='meta') @ torch.empty(3, 5, device='meta')
    assert reading.macs == {'inner.1': 24, '': 30}


def test_failure_keeps_what_was_read():
    model = Block().to('meta')
    with (
        pytest.raises(RuntimeError, match='reduction dim|shapes'),
        metered(model) as reading,
    ):
        model(torch.empty(2, 4, device='meta'), fail=True)
    assert reading.failed_in == 'broken'
    assert reading.macs[''] == 24
    assert reading.macs['inner.0'] == 96
    assert reading.published['inner.0'] == 96


def test_model_is_left_clean():
    model = Block().to('meta')
    before = [dict(vars(module)) for module in model.modules()]
    hooks = [len(m._forward_hooks) for m in model.modules()]
    with metered(model):
        model(torch.empty(2, 4, device='meta'))
    assert hooks == [len(m._forward_hooks) for m in model.modules()]
    assert not any(m._forward_pre_hooks for m in model.modules())
    assert [vars(m).keys() for m in model.modules()] == [
        one.keys() for one in before
    ]
