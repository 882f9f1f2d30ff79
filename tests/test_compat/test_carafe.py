"""CARAFE through mmcv.ops, the naive and the fast operator.

Scenarios: a float64 loop over pixels, kernel sizes, groups and scales;
gradcheck; both operators agree, forward and backward; no images; float16 and
bfloat16, also under autocast and mixed with float32; strided maps; mmcv's
upsampling layer in mmdet's FPN.
"""

import itertools
import sys

import pytest
import torch
from mmcv.ops import carafe, carafe_naive
from mmdet.models.necks import FPN_CARAFE

# kernel size, groups, scale
SHAPES = [(3, 1, 2), (1, 2, 3), (5, 2, 2), (3, 4, 1)]


def random_case(shape, seed=0, batch=2, size=(3, 4), dtype=torch.float64):
    kernel, groups, scale = shape
    g = torch.Generator().manual_seed(seed)
    fine = (size[0] * scale, size[1] * scale)
    features = torch.randn(batch, 4, *size, generator=g)
    masks = torch.randn(batch, groups * kernel**2, *fine, generator=g)
    return tuple(one.to(dtype).requires_grad_() for one in (features, masks))


def loop(features, masks, kernel, groups, scale):
    batch, channels, height, width = features.shape
    maps, kernels = features.tolist(), masks.tolist()
    shape = (batch, channels, height * scale, width * scale)
    out = torch.zeros(shape).double()
    for b, c, y, x in itertools.product(*map(range, shape)):
        group = c // (channels // groups)
        total = 0.0
        for i, j in itertools.product(range(kernel), range(kernel)):
            row = y // scale + i - kernel // 2
            column = x // scale + j - kernel // 2
            if 0 <= row < height and 0 <= column < width:
                tap = (group * kernel + i) * kernel + j
                total += maps[b][c][row][column] * kernels[b][tap][y][x]
        out[b, c, y, x] = total
    return out


@pytest.mark.parametrize('shape', SHAPES)
@pytest.mark.parametrize('operator', [carafe, carafe_naive])
def test_equals_loop(operator, shape):
    features, masks = random_case(shape)
    out = operator(features, masks, *shape)
    torch.testing.assert_close(out, loop(features, masks, *shape))


@pytest.mark.parametrize('shape', SHAPES)
def test_gradcheck(shape):
    operands = random_case(shape, seed=1, batch=1, size=(2, 3))
    assert torch.autograd.gradcheck(
        lambda *both: carafe(*both, *shape), operands
    )


@pytest.mark.parametrize('shape', SHAPES)
def test_naive_backward(shape):
    # Called directly: mmcv's Python half insists on CUDA here.
    operands = random_case(shape, seed=2)
    out = carafe(*operands, *shape)
    grad = torch.randn_like(out)
    found = [torch.zeros_like(one) for one in operands]
    sys.modules['mmcv._ext'].carafe_naive_backward(
        grad,
        *operands,
        *found,
        kernel_size=shape[0],
        group_size=shape[1],
        scale_factor=shape[2],
    )
    want = torch.autograd.grad(out, operands, grad)
    assert all(map(torch.equal, found, want))


@pytest.mark.parametrize('operator', [carafe, carafe_naive])
def test_no_images(operator):
    features, masks = random_case((3, 1, 2), batch=0)
    assert operator(features, masks, 3, 1, 2).shape == (0, 4, 6, 8)


def test_no_images_backward():
    features, masks = random_case((3, 1, 2), batch=0)
    carafe(features, masks, 3, 1, 2).sum().backward()
    assert features.grad.shape == features.shape
    assert masks.grad.shape == masks.shape


@pytest.mark.parametrize('autocast', [False, True])
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
@pytest.mark.parametrize('wide_features', [False, True])
def test_narrow_maps(dtype, autocast, wide_features):
    shape = (5, 2, 2)
    features, masks = random_case(shape, seed=3, dtype=dtype)
    if wide_features:
        features = features.detach().float().requires_grad_()
    exact = [
        one.detach().double().requires_grad_() for one in (features, masks)
    ]
    want = carafe(*exact, *shape)
    want.sum().backward()
    with torch.autocast('cpu', dtype=dtype, enabled=autocast):
        out = carafe(features, masks, *shape)
        out.sum().backward()
    assert out.dtype == features.dtype
    # Rounded once, at the end: within one unit of the type.
    for found, wanted in (
        (out, want),
        (features.grad, exact[0].grad),
        (masks.grad, exact[1].grad),
    ):
        close = dict(rtol=torch.finfo(found.dtype).eps, atol=1e-5)
        torch.testing.assert_close(found.double(), wanted, **close)


def test_strided_maps():
    shape = (3, 2, 2)
    operands = random_case(shape, seed=4)
    want = carafe(*operands, *shape)
    weight = torch.randn(want.shape[::-1]).double().permute(3, 2, 1, 0)
    wanted = torch.autograd.grad((want * weight).sum(), operands)
    strided = [
        one.detach().to(memory_format=torch.channels_last).requires_grad_()
        for one in operands
    ]
    out = carafe(*strided, *shape)
    found = torch.autograd.grad((out * weight).sum(), strided)
    assert torch.equal(out, want)
    assert all(map(torch.allclose, found, wanted))


@pytest.mark.parametrize('autocast', [False, True])
def test_neck_of_mmdet(autocast):
    torch.manual_seed(5)
    neck = FPN_CARAFE(
        in_channels=[4, 8, 16],
        out_channels=8,
        num_outs=4,
        upsample_cfg=dict(
            type='carafe',
            up_kernel=5,
            up_group=1,
            encoder_kernel=3,
            encoder_dilation=1,
            compressed_channels=4,
        ),
    )
    maps = [
        torch.randn(2, c, 16 // s, 24 // s)
        for c, s in ((4, 1), (8, 2), (16, 4))
    ]
    with torch.autocast('cpu', dtype=torch.bfloat16, enabled=autocast):
        pyramid = neck(maps)
        sum(one.float().square().mean() for one in pyramid).backward()
    sizes = [tuple(one.shape[1:]) for one in pyramid]
    assert sizes == [(8, 16, 24), (8, 8, 12), (8, 4, 6), (8, 2, 3)]
    encoders = [
        parameter.grad
        for name, parameter in neck.named_parameters()
        if 'content_encoder.weight' in name
    ]
    assert len(encoders) == 3
    assert all(torch.isfinite(grad).all() and grad.any() for grad in encoders)
