"""deform_conv2d and modulated_deform_conv2d through mmcv.ops.

Scenarios: the compiled operator's golden values and gradients; a float64
loop over samples with kernels, strides, paddings and dilations that are not
square, groups and deform groups; gradcheck; samples on pixels, exactly on
the edge at -1 and nowhere (nan); the plain torch gradients that deterministic
CUDA runs use; one kernel call a backward, and none stale; several im2col
steps; maps that are not contiguous; no images; offsets and masks of a finer
map, which are read as flat numbers, and of a coarser one.
"""

import sys

import numpy as np
import pytest
import torch
from mmcv.ops import deform_conv2d, modulated_deform_conv2d

from cbnet.compat.ops import deform_conv, deformable

from .deform_references import GEOMETRIES, V1, V2, loop, random_case, run

GOLDEN = ['g1_dg1_s1', 'g1_dg2_s1', 'g2_dg2_s2']
# The sizes of GEOMETRIES[0] as mmcv passes them.
SIZES = dict.fromkeys(
    ('dW', 'dH', 'padW', 'padH', 'dilationW', 'dilationH', 'im2col_step'), 1
)
SIZES.update(kW=3, kH=3, group=1, deformable_group=1)


@pytest.fixture(params=['kernel', 'deterministic'])
def backward_path(request, monkeypatch):
    """Both ways to the gradients; the second is CUDA's in earnest."""
    if request.param == 'deterministic':
        monkeypatch.setattr(
            deformable, 'must_be_deterministic', lambda grad: True
        )


@pytest.mark.usefixtures('backward_path')
@pytest.mark.parametrize('case', GOLDEN)
@pytest.mark.parametrize('op', [V1, V2])
def test_golden(golden, op, case):
    want = golden[('dcn1_' if op == V1 else 'dcn2_') + case]
    operands = {
        name: torch.from_numpy(array)
        for name, array in golden[f'dcn_{case}'].items()
    }
    stride, padding, dilation, *groups = operands['params'].tolist()
    out, leaves = run(op, operands, (None, stride, padding, dilation, *groups))
    (out * torch.from_numpy(want['cotangent'])).sum().backward()
    np.testing.assert_allclose(out.detach(), want['out'], 1e-5, 1e-5)
    for name, leaf in leaves.items():
        np.testing.assert_allclose(leaf.grad, want[f'grad_{name}'], 1e-5, 2e-5)


@pytest.mark.parametrize('geometry', GEOMETRIES)
@pytest.mark.parametrize('op', [V1, V2])
def test_equals_loop(op, geometry):
    case = random_case(geometry)
    # Some samples sit on pixels, on the edge at -1, and far outside.
    case['offset'][:, :, 0] = 0
    case['offset'][:, :, :, 1] = case['offset'][:, :, :, 1].round()
    case['offset'][0, 0, -1] = 100
    want = loop(case, geometry, op == V2)
    torch.testing.assert_close(run(op, case, geometry)[0], want)


@pytest.mark.usefixtures('backward_path')
@pytest.mark.parametrize('geometry', GEOMETRIES)
@pytest.mark.parametrize('op', [V1, V2])
def test_gradcheck(op, geometry):
    case = random_case(geometry, seed=1, batch=1, size=(3, 4))
    _, leaves = run(op, case, geometry)
    function = deform_conv2d if op == V1 else modulated_deform_conv2d
    assert torch.autograd.gradcheck(
        lambda *operands: function(*operands, *geometry[1:]),
        tuple(leaves.values()),
    )


@pytest.mark.usefixtures('backward_path')
@pytest.mark.parametrize('op', [V1, V2])
def test_offset_gradient_on_pixels_and_edges(op):
    # A sample on a pixel has the slope of the cell below and right of it;
    # at -1 it has none, in either direction.
    geometry = ((1, 1), (1, 1), (1, 1), (1, 1), 1, 1)
    case = {
        'input': torch.tensor([[1.0, 2], [3, 5]])[None, None],
        'offset': torch.zeros(1, 2, 4, 4),
        'mask': torch.ones(1, 1, 4, 4),
        'weight': torch.ones(1, 1, 1, 1),
        'bias': torch.zeros(1),
    }
    out, leaves = run(op, case, geometry)
    out.sum().backward()
    down = torch.zeros(4, 4)
    down[1, 1:3] = torch.tensor([2.0, 3])
    down[2, 1:3] = torch.tensor([-3.0, -5])
    across = torch.zeros(4, 4)
    across[1, 1:3] = torch.tensor([1.0, -2])
    across[2, 1:3] = torch.tensor([2.0, -5])
    assert torch.equal(leaves['offset'].grad[0], torch.stack([down, across]))


@pytest.mark.usefixtures('backward_path')
@pytest.mark.parametrize('op', [V1, V2])
def test_samples_that_are_nowhere_lie_outside(op):
    results = []
    for place in (100.0, torch.nan, torch.inf, -torch.inf):
        case = random_case(GEOMETRIES[0])
        case['offset'][:, ::4] = place  # half of the samples, y only
        out, leaves = run(op, case, GEOMETRIES[0])
        out.square().sum().backward()
        results.append((out, *(leaf.grad for leaf in leaves.values())))
    for found in results[1:]:
        torch.testing.assert_close(found, results[0])


def test_one_kernel_call_a_backward(monkeypatch):
    calls = []

    def counted(*args):
        calls.append(1)
        return deformable.gradients(*args)

    monkeypatch.setattr(deform_conv, 'gradients', counted)
    out, leaves = run(V1, random_case(GEOMETRIES[0]), GEOMETRIES[0])
    out.sum().backward()
    assert len(calls) == 1
    assert all(leaf.grad is not None for leaf in leaves.values())


@pytest.mark.parametrize('changed', ['input', 'offset', 'grad'])
@pytest.mark.parametrize('in_place', [False, True])
def test_no_stale_gradient_of_the_weight(changed, in_place):
    # The first call computes ahead what the second is usually asked for.
    ext = sys.modules['mmcv._ext']
    case = random_case(GEOMETRIES[0])
    case['grad'] = torch.randn(2, 4, 5, 6).double()
    weight, scratch = case['weight'], torch.empty(0)

    def second(scratch, scale):
        found = torch.zeros_like(weight)
        operands = [case[name] for name in ('input', 'offset', 'grad')]
        ext.deform_conv_backward_parameters(
            *operands, found, scratch, scratch, scale=scale, **SIZES
        )
        return found

    operands = [case[name] for name in ('input', 'offset', 'grad')]
    written = [torch.zeros_like(one) for one in operands[:2]]
    ext.deform_conv_backward_input(
        *operands, *written, weight, scratch, **SIZES
    )
    if in_place:
        case[changed].mul_(0.5)
    else:
        case[changed] = case[changed] * 0.5
    want = second(torch.empty(0), scale=1)
    assert want.any()
    torch.testing.assert_close(second(scratch, scale=2), 2 * want)


def test_several_im2col_steps():
    case = random_case(GEOMETRIES[1], seed=4, batch=4)
    want, _ = run(V1, case, GEOMETRIES[1])
    operands = [case[name] for name in ('input', 'offset', 'weight')]
    out = deform_conv2d(*operands, *GEOMETRIES[1][1:], False, 2)
    assert torch.equal(out, want)


@pytest.mark.parametrize('op', [V1, V2])
def test_maps_that_are_not_contiguous(op):
    case = random_case(GEOMETRIES[1], seed=5)
    want, leaves = run(op, case, GEOMETRIES[1])
    weight = torch.randn(want.shape[::-1]).double().permute(3, 2, 1, 0)
    (want * weight).sum().backward()
    strided = dict(case)
    for name in ('input', 'offset', 'mask'):
        strided[name] = case[name].to(memory_format=torch.channels_last)
    out, others = run(op, strided, GEOMETRIES[1])
    (out * weight).sum().backward()
    assert torch.equal(out, want)
    for name, leaf in leaves.items():
        torch.testing.assert_close(others[name].grad, leaf.grad)


@pytest.mark.parametrize('deterministic', [False, True])
def test_no_images(deterministic, monkeypatch):
    # mmcv's Python half refuses an empty batch, the operators need not.
    monkeypatch.setattr(
        deformable, 'must_be_deterministic', lambda grad: deterministic
    )
    ext = sys.modules['mmcv._ext']
    case = random_case(GEOMETRIES[0], batch=0)
    x, offset, mask, weight, bias = case.values()
    out, empty = x.new_empty(0, 4, 5, 6), x.new_empty(0)
    ext.deform_conv_forward(x, weight, offset, out, empty, empty, **SIZES)
    grads = [torch.zeros_like(one) for one in case.values()]
    ext.deform_conv_backward_input(
        x, offset, out, *grads[:2], weight, empty, **SIZES
    )
    ext.deform_conv_backward_parameters(
        x, offset, out, grads[3], empty, empty, scale=1, **SIZES
    )
    sizes = dict(group=1, deformable_group=1, kernel_h=3, kernel_w=3)
    for name in ('stride', 'pad', 'dilation'):
        sizes.update({f'{name}_h': 1, f'{name}_w': 1})
    ext.modulated_deform_conv_forward(
        *(x, weight, bias, empty, offset, mask, out, empty),
        with_bias=True,
        **sizes,
    )
    ext.modulated_deform_conv_backward(
        *(x, weight, bias, empty, offset, mask, empty),
        *(grads[0], grads[3], grads[4], grads[1], grads[2], out),
        with_bias=True,
        **sizes,
    )
    assert not any(grad.any() for grad in grads)


@pytest.mark.usefixtures('backward_path')
@pytest.mark.parametrize('geometry', GEOMETRIES)
def test_offsets_of_a_finer_map_are_flat_numbers(geometry):
    """As mmcv's operator reads them, and nothing beyond has a gradient."""
    case = random_case(geometry, seed=6)
    want, leaves = run(V2, case, geometry)
    weight = torch.randn(want.shape).double()
    (want * weight).sum().backward()
    finer = dict(case)
    for name in ('offset', 'mask'):
        numbers = case[name].flatten(1)
        height, width = (2 * n + 1 for n in case[name].shape[2:])
        finer[name] = torch.full(
            (len(numbers), case[name].shape[1], height, width), 7.0
        ).double()
        finer[name].view(len(numbers), -1)[:, : numbers.shape[1]] = numbers
        if name == 'offset':  # as in DyHead, a slice of what was computed
            finer[name] = torch.cat([finer[name]] * 2, 1).chunk(2, 1)[0]
    out, others = run(V2, finer, geometry)
    (out * weight).sum().backward()
    assert torch.equal(out, want)
    for name, leaf in leaves.items():
        grad, count = others[name].grad, leaf[0].numel()
        if name in ('offset', 'mask'):
            grad = grad.flatten(1)
            assert not grad[:, count:].any()
            grad = grad[:, :count].view_as(leaf)
        torch.testing.assert_close(grad, leaf.grad)


@pytest.mark.parametrize('name', ['offset', 'mask'])
def test_offsets_of_a_coarser_map_are_refused(name):
    case = random_case(GEOMETRIES[0])
    case[name] = case[name][:, :, 1:]
    words = '5 x 6 places was given the offsets or the mask of 4 x 6; expected'
    with pytest.raises(ValueError, match=words):
        run(V2, case, GEOMETRIES[0])
