"""Multi-scale deformable attention through mmcv's function for GPUs.

Scenarios: a float64 loop over samples, places outside included; gradients of
mmcv's own torch version, and gradcheck; places exactly on the edge; the
sampler that deterministic CUDA runs use; levels that are not in order or
without pixels; float16 and bfloat16, also under autocast; nothing to do; the
module of mmdet's transformers along the path it takes on CUDA.
"""

import math

import pytest
import torch
from mmcv.ops import MultiScaleDeformableAttention
from mmcv.ops import multi_scale_deform_attn as of_mmcv

from cbnet.compat.ops import ms_deform_attn

SHAPES = ((3, 4), (2, 1))


def random_case(seed=0, shapes=SHAPES, batch=2, queries=4, dims=3):
    """Operands of 2 heads and 3 points; the places reach beyond the maps."""
    g = torch.Generator().manual_seed(seed)
    keys = sum(height * width for height, width in shapes)
    points = (batch, queries, 2, len(shapes), 3)
    value = torch.randn(batch, keys, 2, dims, generator=g).double()
    places = torch.rand(*points, 2, generator=g).double() * 1.6 - 0.3
    weight = torch.rand(points, generator=g).double()
    return value, places, weight


def attend(value, places, weight, shapes=SHAPES, starts=None):
    sizes = torch.tensor(shapes)
    if starts is None:
        starts = [0, *sizes.prod(1).cumsum(0)[:-1].tolist()]
    return of_mmcv.MultiScaleDeformableAttnFunction.apply(
        value, sizes, torch.tensor(starts), places, weight, 64
    )


def sample(plane, y, x):
    """Bilinear value of a list of rows, 0 outside."""
    total = 0.0
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            if 0 <= row < len(plane) and 0 <= column < len(plane[0]):
                share = (1 - abs(y - row)) * (1 - abs(x - column))
                total += share * plane[row][column]
    return total


def loop(value, places, weight, shapes=SHAPES):
    batch, queries, heads, _, points = weight.shape
    out = torch.zeros(batch, queries, heads, value.shape[3]).double()
    for index in torch.cartesian_prod(*map(torch.arange, out.shape)).tolist():
        b, q, h, d = index
        start = 0
        for level, (height, width) in enumerate(shapes):
            keys = value[b, start : start + height * width, h, d]
            plane = keys.view(height, width).tolist()
            for p in range(points):
                x, y = places[b, q, h, level, p].tolist()
                out[b, q, h, d] += weight[b, q, h, level, p] * sample(
                    plane, y * height - 0.5, x * width - 0.5
                )
            start += height * width
    return out.flatten(2)


def gradients(function, operands):
    leaves = [operand.clone().requires_grad_() for operand in operands]
    out = function(*leaves)
    cotangent = torch.linspace(-1, 2, out.numel()).view_as(out)
    return out, torch.autograd.grad((out * cotangent).sum(), leaves)


def test_equals_loop():
    case = random_case()
    torch.testing.assert_close(attend(*case), loop(*case))
    narrow = attend(*(operand.float() for operand in case))
    torch.testing.assert_close(narrow, loop(*case).float())


def test_gradients_of_the_torch_version():
    case = random_case(seed=1)
    sizes = torch.tensor(SHAPES)
    want = gradients(
        lambda value, *rest: of_mmcv.multi_scale_deformable_attn_pytorch(
            value, sizes, *rest
        ),
        case,
    )
    torch.testing.assert_close(gradients(attend, case), want)


def test_gradcheck():
    case = random_case(seed=2, batch=1, queries=2, dims=2)
    assert torch.autograd.gradcheck(
        attend, tuple(operand.requires_grad_() for operand in case)
    )


def test_no_gradient_from_a_place_on_the_edge():
    # Pixel -1 and pixel 4 of a row of 4: values 0, on the border of reach.
    value = torch.ones(1, 4, 1, 1).double()
    places = torch.tensor([[-0.125, 0.5], [1.125, 0.5], [-0.12, 0.5]])
    places = places.double().view(1, 1, 1, 1, 3, 2)
    weight = torch.ones(1, 1, 1, 1, 3).double()
    _, (_, grad, _) = gradients(
        lambda *case: attend(*case, shapes=((1, 4),)), (value, places, weight)
    )
    assert grad[..., 0].flatten().bool().tolist() == [False, False, True]


def test_the_sampler_of_deterministic_runs(monkeypatch):
    case = random_case(seed=3)
    want = gradients(attend, case)
    monkeypatch.setattr(
        ms_deform_attn, 'must_be_deterministic', lambda maps: True
    )
    monkeypatch.delattr(ms_deform_attn, 'grid_sample')
    torch.testing.assert_close(gradients(attend, case), want)
    case[1][0, 0, 0, 0, 0, 0] = math.nan
    assert attend(*case).isnan().any()


def test_levels_begin_where_they_say():
    value, places, weight = random_case(seed=4)
    swapped = torch.cat([value[:, 12:], value[:, :12]], 1)
    out = attend(swapped, places, weight, starts=[2, 0])
    torch.testing.assert_close(out, loop(value, places, weight))


def test_a_level_without_pixels():
    shapes = ((3, 4), (0, 5), (2, 1))
    case = random_case(seed=5, shapes=shapes)
    out, grads = gradients(lambda *operands: attend(*operands, shapes), case)
    kept = [0, 2]
    want, wanted = gradients(
        attend, (case[0], case[1][:, :, :, kept], case[2][:, :, :, kept])
    )
    torch.testing.assert_close(out, want)
    torch.testing.assert_close(grads[0], wanted[0])
    assert not grads[1][:, :, :, 1].any()


@pytest.mark.parametrize('sizes', [dict(batch=0), dict(queries=0)])
def test_nothing_to_do(sizes):
    out, grads = gradients(attend, random_case(**sizes))
    assert out.numel() == 0
    assert out.shape[2] == 6
    assert not grads[0].any()


@pytest.mark.parametrize('autocast', [False, True])
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_narrow_values(dtype, autocast):
    # mmcv rounds the places to the type of the values, whatever they are.
    narrow = [operand.to(dtype) for operand in random_case(seed=6)]
    want, wanted = gradients(attend, [operand.double() for operand in narrow])
    with torch.autocast('cpu', dtype=dtype, enabled=autocast):
        out, grads = gradients(attend, narrow)
        mixed = attend(narrow[0], narrow[1].float(), narrow[2].float())
    assert out.dtype == mixed.dtype == dtype
    unit = torch.finfo(dtype).eps
    torch.testing.assert_close(out.double(), want, rtol=unit, atol=1e-5)
    assert torch.equal(mixed, out)
    for one, exact in zip(grads, wanted, strict=True):
        assert one.dtype == dtype
        torch.testing.assert_close(
            one.double(), exact, rtol=2 * unit, atol=4 * unit
        )


def test_the_module_on_its_cuda_path(monkeypatch):
    torch.manual_seed(7)
    module = MultiScaleDeformableAttention(
        8, num_heads=2, num_levels=2, num_points=3, batch_first=True
    ).eval()
    query, value = torch.randn(2, 5, 8), torch.randn(2, 14, 8)
    options = dict(
        reference_points=torch.rand(2, 5, 2, 2),
        spatial_shapes=torch.tensor(SHAPES),
        level_start_index=torch.tensor([0, 12]),
    )
    want = module(query, value=value, **options)
    calls = []

    def served(values, shapes, places, weight):
        calls.append(shapes)
        return attend(values, places, weight)

    name = 'multi_scale_deformable_attn_pytorch'
    monkeypatch.setattr(of_mmcv, name, served)
    torch.testing.assert_close(module(query, value=value, **options), want)
    assert calls
