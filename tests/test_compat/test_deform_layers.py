"""Deformable convolutions in narrow types, and in layers and backbones.

Scenarios: float16 and bfloat16 operands; autocast around forward and
backward; maps smaller than the kernel; mmdet's ResNet and ResNeXt with
deformable stages, forward and backward.
"""

import pytest
import torch
from mmcv.ops import (
    DeformConv2d,
    DeformConv2dPack,
    ModulatedDeformConv2dPack,
)
from mmdet.models import ResNet, ResNeXt

from .deform_references import GEOMETRIES, V1, V2, loop, random_case, run


@pytest.mark.parametrize('size', [(1, 2), (2, 5), (3, 1)])
def test_maps_smaller_than_the_kernel(size):
    geometry = GEOMETRIES[0]
    case = random_case(geometry, seed=3, size=size)
    want = loop(case, geometry, modulated=False)
    torch.testing.assert_close(run(V1, case, geometry)[0], want)
    layer = DeformConv2d(4, 4, 3, padding=1).double()
    layer.weight.data.copy_(case['weight'])
    torch.testing.assert_close(layer(case['input'], case['offset']), want)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
@pytest.mark.parametrize('op', [V1, V2])
def test_narrow_operands(op, dtype):
    case = random_case(GEOMETRIES[1], seed=6)
    case = {name: value.to(dtype) for name, value in case.items()}
    exact = {name: value.double() for name, value in case.items()}
    want, wanted = run(op, exact, GEOMETRIES[1])
    want.sum().backward()
    out, leaves = run(op, case, GEOMETRIES[1])
    out.sum().backward()
    assert out.dtype == dtype
    # Rounded once, at the end: within one unit of the narrow type.
    close = dict(rtol=torch.finfo(dtype).eps, atol=1e-5)
    torch.testing.assert_close(out.double(), want, **close)
    for name, leaf in leaves.items():
        assert leaf.grad.dtype == dtype
        torch.testing.assert_close(
            leaf.grad.double(), wanted[name].grad, **close
        )


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
@pytest.mark.parametrize(
    'layer_type', [DeformConv2dPack, ModulatedDeformConv2dPack]
)
def test_layers_under_autocast(layer_type, dtype):
    torch.manual_seed(7)
    layer = layer_type(4, 8, 3, padding=1)
    # Offsets between pixels: at a pixel the gradient has two sides.
    torch.nn.init.constant_(layer.conv_offset.bias, 0.4)
    x = torch.randn(2, 4, 6, 7)
    results = []
    for enabled in (False, True):
        layer.zero_grad()
        leaf = x.clone().requires_grad_()
        with torch.autocast('cpu', dtype=dtype, enabled=enabled):
            out = layer(leaf)
            (out.float() ** 2).sum().backward()
        assert out.dtype == (dtype if enabled else torch.float32)
        grads = [parameter.grad for parameter in layer.parameters()]
        results.append([out.detach().float(), leaf.grad, *grads])
    for want, found in zip(*results, strict=True):
        assert found.dtype == torch.float32
        error = (found - want).norm() / want.norm()
        assert error < 8 * torch.finfo(dtype).eps


@pytest.mark.parametrize('op', [V1, V2])
def test_float32_stays_exact_under_autocast(op):
    case = random_case(GEOMETRIES[0], seed=8)
    case = {name: value.float() for name, value in case.items()}
    want, wanted = run(op, case, GEOMETRIES[0])
    want.sum().backward()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        out, leaves = run(op, case, GEOMETRIES[0])
        out.sum().backward()
    torch.testing.assert_close(out, want)
    for name, leaf in leaves.items():
        torch.testing.assert_close(leaf.grad, wanted[name].grad)


@pytest.mark.parametrize('kind', ['DCN', 'DCNv2'])
@pytest.mark.parametrize('backbone', [ResNet, ResNeXt])
def test_backbones_of_mmdet(backbone, kind):
    torch.manual_seed(9)
    options = dict(groups=2, base_width=4) if backbone is ResNeXt else {}
    model = backbone(
        depth=50,
        base_channels=8,
        dcn=dict(type=kind, deform_groups=1, fallback_on_stride=False),
        stage_with_dcn=(False, True, True, True),
        **options,
    )
    model.train()
    maps = model(torch.randn(2, 3, 64, 96))
    assert [tuple(one.shape[2:]) for one in maps] == [
        (16, 24),
        (8, 12),
        (4, 6),
        (2, 3),
    ]
    sum(one.square().mean() for one in maps).backward()
    offsets = [
        parameter.grad
        for name, parameter in model.named_parameters()
        if 'conv_offset' in name
    ]
    assert len(offsets) == 2 * (4 + 6 + 3)
    assert all(torch.isfinite(grad).all() for grad in offsets)
    assert all(grad.any() for grad in offsets)
    assert model.conv1.weight.grad.any()
