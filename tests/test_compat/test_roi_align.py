"""roi_align through mmcv.ops, average and max.

Scenarios: the compiled operator's golden values and gradients; a float64
loop over samples, regions inside, outside and without area; gradcheck; the
plain torch gradient of averages that deterministic CUDA runs use; chunks;
no regions; float16 and bfloat16 maps, also under autocast; maps that are not
contiguous; regions with a negative side.
"""

import itertools
import math

import numpy as np
import pytest
import torch
from mmcv.ops import RoIAlign, roi_align

from cbnet.compat.ops import roi_samples

from .roi_references import random_case, sample

GOLDEN = [
    f'{rule}_sr{samples}_{mode}'
    for rule, samples, mode in itertools.product(
        ('aligned', 'legacy'), (0, 2), ('avg', 'max')
    )
]
RULES = list(itertools.product((0, 1, 3), ('avg', 'max'), (True, False)))


def loop_roi_align(features, rois, size, scale, ratio, mode, aligned):
    out = torch.zeros(len(rois), features.shape[1], *size).double()
    for k, (image, *box) in enumerate(rois.tolist()):
        x1, y1, x2, y2 = (c * scale - 0.5 * aligned for c in box)
        extent = [y2 - y1, x2 - x1]
        if not aligned:
            extent = [max(side, 1.0) for side in extent]
        side = [e / n for e, n in zip(extent, size, strict=True)]
        grid = [ratio or math.ceil(s) for s in side]
        for c, i, j in itertools.product(
            range(features.shape[1]), range(size[0]), range(size[1])
        ):
            plane = features[int(image), c].tolist()
            values = [
                sample(
                    plane,
                    y1 + side[0] * (i + (a + 0.5) / grid[0]),
                    x1 + side[1] * (j + (b + 0.5) / grid[1]),
                )
                for a in range(grid[0])
                for b in range(grid[1])
            ]
            if mode == 'max':
                out[k, c, i, j] = max([-10000.0, *values])
            else:
                out[k, c, i, j] = sum(values) / max(len(values), 1)
    return out


@pytest.mark.parametrize('case', GOLDEN)
def test_golden(golden, case):
    want = golden[f'roi_align_float64_{case}']
    rule, samples, mode = case.split('_')
    features = torch.from_numpy(want['input']).requires_grad_()
    rois = torch.from_numpy(want['rois'])
    options = (0.25, int(samples[2:]), mode, rule == 'aligned')
    out = roi_align(features, rois, (7, 5), *options)
    (out * torch.from_numpy(want['weight'])).sum().backward()
    np.testing.assert_allclose(out.detach().numpy(), want['out'], 1e-12, 1e-12)
    np.testing.assert_allclose(
        features.grad.numpy(), want['grad'], 1e-12, 1e-12
    )


@pytest.mark.parametrize('scale', [0.5, 0.37])
@pytest.mark.parametrize(('ratio', 'mode', 'aligned'), RULES)
def test_equals_loop(ratio, mode, aligned, scale):
    features, rois = random_case(seed=1)
    options = ((3, 4), scale, ratio, mode, aligned)
    out = roi_align(features, rois, *options)
    torch.testing.assert_close(out, loop_roi_align(features, rois, *options))
    narrow = roi_align(features.float(), rois.float(), *options)
    torch.testing.assert_close(narrow, out.float(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(('ratio', 'mode', 'aligned'), RULES)
def test_gradcheck(ratio, mode, aligned):
    # No two samples are equal here: a maximum has no derivative at a tie.
    g = torch.Generator().manual_seed(2)
    features = torch.randn(2, 2, 4, 5, generator=g)
    rois = torch.tensor([[1, -3.1, 1.3, 6.7, 9.2], [0, 2.2, 3.1, 5.3, 4.4]])
    assert torch.autograd.gradcheck(
        lambda x: roi_align(
            x, rois.double(), (2, 3), 0.5, ratio, mode, aligned
        ),
        (features.double().requires_grad_(),),
    )


def test_gradient_goes_to_the_first_of_equal_samples():
    features = torch.ones(1, 1, 4, 4).double().requires_grad_()
    rois = torch.tensor([[0.0, 0, 0, 4, 4]]).double()
    roi_align(features, rois, (1, 1), 1.0, 2, 'max', True).backward()
    want = torch.zeros(4, 4).double()
    want[:2, :2] = 0.25  # the sample at (0.5, 0.5)
    assert torch.equal(features.grad[0, 0], want)


def test_maximum_at_minus_one_has_no_gradient():
    # The compiled operator reads y = -1 as "nothing sampled"; so do we.
    features = torch.ones(1, 1, 2, 2).double().requires_grad_()
    rois = torch.tensor([[0.0, 0, -1, 1, 0]]).double()
    out = roi_align(features, rois, (1, 1), 1.0, 1, 'max', True)
    out.backward()
    assert out.item() == 1
    assert not features.grad.any()


@pytest.mark.parametrize(('ratio', 'aligned'), [(0, True), (2, False)])
def test_plain_gradient_of_averages(ratio, aligned):
    features, rois = random_case(seed=3)
    features.requires_grad_()
    out = roi_align(features, rois, (3, 4), 0.5, ratio, 'avg', aligned)
    cotangent = torch.randn(out.shape).double()
    out.backward(cotangent)
    bins = roi_samples.divide(rois, (3, 4), 0.5, ratio, aligned)
    grad = roi_samples.average_gradient(cotangent, bins, features.shape)
    torch.testing.assert_close(grad, features.grad)


def test_chunks_change_nothing(monkeypatch):
    features, rois = random_case(seed=4)
    features.requires_grad_()

    def run():
        out = roi_align(features, rois, (3, 4), 0.5, 0, 'max', False)
        bins = roi_samples.divide(rois, (3, 4), 0.5, 0, False)
        average = roi_samples.average_gradient(
            torch.ones_like(out), bins, features.shape
        )
        return out, *torch.autograd.grad(out.sum(), features), average

    whole = run()
    monkeypatch.setattr(roi_samples, 'CHUNK', 80)
    assert all(map(torch.allclose, run(), whole))


@pytest.mark.parametrize('mode', ['avg', 'max'])
def test_no_regions(mode):
    features = torch.randn(2, 3, 9, 11, requires_grad=True)
    out = roi_align(features, torch.zeros(0, 5), (7, 5), 1.0, 0, mode)
    assert out.shape == (0, 3, 7, 5)
    out.sum().backward()
    assert not features.grad.any()


@pytest.mark.parametrize('autocast', [False, True])
@pytest.mark.parametrize('mode', ['avg', 'max'])
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_narrow_maps(dtype, mode, autocast):
    features, rois = random_case(seed=5)
    features, rois = features.to(dtype), rois.to(dtype)
    exact = features.double().requires_grad_()
    want = roi_align(exact, rois.double(), (3, 4), 0.5, 2, mode, True)
    want.sum().backward()
    features.requires_grad_()
    with torch.autocast('cpu', dtype=dtype, enabled=autocast):
        out = roi_align(features, rois, (3, 4), 0.5, 2, mode, True)
    out.sum().backward()
    assert out.dtype == features.grad.dtype == dtype
    # Rounded once, at the end: within one unit of the narrow type.
    unit = torch.finfo(dtype).eps
    torch.testing.assert_close(out.double(), want, rtol=unit, atol=1e-6)
    if mode == 'avg':
        torch.testing.assert_close(
            features.grad.double(), exact.grad, rtol=unit, atol=unit
        )


@pytest.mark.parametrize('mode', ['avg', 'max'])
def test_maps_that_are_not_contiguous(mode):
    features, rois = random_case(seed=6)
    strided = features.to(memory_format=torch.channels_last)
    layer = RoIAlign((3, 4), 0.5, 2, mode)
    want = layer(features.requires_grad_(), rois)
    out = layer(strided.requires_grad_(), rois)
    weight = torch.randn(4, 3, *want.shape[:2]).double().permute(2, 3, 1, 0)
    (want * weight).sum().backward()
    (out * weight).sum().backward()
    assert torch.equal(out, want)
    torch.testing.assert_close(strided.grad, features.grad)


@pytest.mark.parametrize('mode', ['avg', 'max'])
@pytest.mark.parametrize('wrong', [1.0, math.nan])
def test_negative_side(mode, wrong):
    features = torch.randn(1, 1, 4, 4)
    rois = torch.tensor([[0.0, 0, 0, 2, 2], [0.0, 2, 0, wrong, 2]])
    with pytest.raises(ValueError, match=r'rois\[1\]'):
        roi_align(features, rois, (2, 2), 1.0, 0, mode, True)
