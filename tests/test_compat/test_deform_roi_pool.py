"""deform_roi_pool and its layers through mmcv.ops.

Scenarios: a float64 loop over samples with and without offsets, regions
inside, outside and without area; without offsets it is RoIAlign; gradcheck;
chunks; no regions; float16 and bfloat16, also under autocast; the two layers
that mmdet's RoI extractors build.
"""

import itertools

import pytest
import torch
from mmcv.ops import (
    DeformRoIPoolPack,
    ModulatedDeformRoIPoolPack,
    deform_roi_pool,
    roi_align,
)

from cbnet.compat.ops import roi_samples

from .roi_references import random_case, sample

SIZE = (3, 4)


def random_offset(rois, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(len(rois), 2, *SIZE, generator=g).double() * 2


def loop(features, rois, offset, scale, ratio, gamma):
    out = torch.zeros(len(rois), features.shape[1], *SIZE).double()
    for k, (image, *box) in enumerate(rois.tolist()):
        x1, y1, x2, y2 = (c * scale - 0.5 for c in box)
        height, width = y2 - y1, x2 - x1
        side = [height / SIZE[0], width / SIZE[1]]
        grid = [ratio or max(0, -int(-s // 1)) for s in side]
        for c, i, j in itertools.product(
            range(features.shape[1]), *map(range, SIZE)
        ):
            plane = features[int(image), c].tolist()
            move = [gamma * height * offset[k, 1, i, j].item()]
            move += [gamma * width * offset[k, 0, i, j].item()]
            values = [
                sample(
                    plane,
                    y1 + move[0] + side[0] * (i + (a + 0.5) / grid[0]),
                    x1 + move[1] + side[1] * (j + (b + 0.5) / grid[1]),
                )
                for a in range(grid[0])
                for b in range(grid[1])
            ]
            out[k, c, i, j] = sum(values) / max(len(values), 1)
    return out


@pytest.mark.parametrize('ratio', [0, 1, 3])
def test_equals_loop(ratio):
    features, rois = random_case(seed=1)
    offset = random_offset(rois)
    out = deform_roi_pool(features, rois, offset, SIZE, 0.5, ratio, 0.1)
    want = loop(features, rois, offset, 0.5, ratio, 0.1)
    torch.testing.assert_close(out, want)
    narrow = deform_roi_pool(
        features.float(), rois.float(), offset.float(), SIZE, 0.5, ratio, 0.1
    )
    torch.testing.assert_close(narrow, want.float(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('ratio', [0, 2])
def test_without_offsets_it_is_roi_align(ratio):
    features, rois = random_case(seed=2)
    results = []
    for offset in (None, torch.zeros(len(rois), 2, *SIZE).double(), 'align'):
        leaf = features.clone().requires_grad_()
        if offset == 'align':
            out = roi_align(leaf, rois, SIZE, 0.5, ratio, 'avg', True)
        else:
            out = deform_roi_pool(leaf, rois, offset, SIZE, 0.5, ratio)
        (out * torch.arange(out.numel()).view_as(out)).sum().backward()
        results.append((out.detach(), leaf.grad))
    torch.testing.assert_close(results[0], results[2])
    torch.testing.assert_close(results[1], results[2])


@pytest.mark.parametrize('ratio', [0, 1, 3])
def test_gradcheck(ratio):
    g = torch.Generator().manual_seed(3)
    features = torch.randn(2, 1, 4, 5, generator=g).double()
    rois = torch.tensor([[1, -3.1, 1.3, 6.7, 9.2], [0, 2.2, 3.1, 5.3, 4.4]])
    offset = random_offset(rois, seed=3)
    assert torch.autograd.gradcheck(
        lambda x, moves: deform_roi_pool(
            x, rois.double(), moves, SIZE, 0.5, ratio, 0.2
        ),
        (features.requires_grad_(), offset.requires_grad_()),
    )


def test_chunks_change_nothing(monkeypatch):
    features, rois = random_case(seed=4)
    leaves = (features.requires_grad_(), random_offset(rois).requires_grad_())

    def run():
        out = deform_roi_pool(leaves[0], rois, leaves[1], SIZE, 0.5, 0, 0.1)
        cotangent = torch.arange(out.numel()).view_as(out)
        return out, *torch.autograd.grad((out * cotangent).sum(), leaves)

    whole = run()
    monkeypatch.setattr(roi_samples, 'CHUNK', 80)
    assert all(map(torch.allclose, run(), whole))


@pytest.mark.parametrize('given', [False, True])
def test_no_regions(given):
    features = torch.randn(2, 3, 9, 11, requires_grad=True)
    offset = torch.zeros(0, 2, *SIZE, requires_grad=True) if given else None
    out = deform_roi_pool(features, torch.zeros(0, 5), offset, SIZE)
    assert out.shape == (0, 3, *SIZE)
    out.sum().backward()
    assert not features.grad.any()


@pytest.mark.parametrize('autocast', [False, True])
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_narrow_maps(dtype, autocast):
    features, rois = random_case(seed=5)
    operands = (features.to(dtype), rois.float(), random_offset(rois))
    operands = (*operands[:2], operands[2].to(dtype))
    results = []
    for kind in (torch.float64, dtype):
        x, regions, moves = (
            operand.to(kind if kind == torch.float64 else operand.dtype)
            for operand in operands
        )
        x, moves = (leaf.detach().requires_grad_() for leaf in (x, moves))
        with torch.autocast('cpu', dtype=dtype, enabled=autocast):
            out = deform_roi_pool(x, regions, moves, SIZE, 0.5, 2, 0.1)
        out.sum().backward()
        assert out.dtype == x.grad.dtype == moves.grad.dtype == kind
        results.append([one.double() for one in (out, x.grad, moves.grad)])
    unit = torch.finfo(dtype).eps
    for want, found in zip(*results, strict=True):
        # atol: float32 in between, and kinks at pixels.
        torch.testing.assert_close(found, want, rtol=unit, atol=1e-4)


@pytest.mark.parametrize(
    'layer_type', [DeformRoIPoolPack, ModulatedDeformRoIPoolPack]
)
def test_layers(layer_type):
    torch.manual_seed(6)
    layer = layer_type(SIZE, 3, 8, spatial_scale=0.5, sampling_ratio=2)
    features, rois = random_case(seed=6, dtype=torch.float32)
    features.requires_grad_()
    out = layer(features, rois)
    still = deform_roi_pool(features, rois, None, SIZE, 0.5, 2)
    gate = 0.5 if layer_type is ModulatedDeformRoIPoolPack else 1
    torch.testing.assert_close(out, still * gate)  # untrained: no offsets
    out.square().sum().backward()
    assert layer.offset_fc[-1].weight.grad.any()
    assert features.grad.any()
