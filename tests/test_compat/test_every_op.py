"""Every served operator: reached, empty, narrow.  Served means tested.

Scenarios, for each case of op_cases.py: it reaches the operators it is for,
and the cases together reach all that are served; nothing to do (no boxes, no
images, no queries) forward and backward; float16 and bfloat16 under autocast
stay within rounding of the same numbers computed in float32.
"""

import pytest
import torch

from cbnet.compat.ops import SERVED

from .op_cases import CASES

NARROW = [torch.float16, torch.bfloat16]


pytestmark = pytest.mark.usefixtures('one_process')


def run(case, rows, rounded=torch.float32, wide=False):
    """Return the outputs, and the gradients of what the case prepared."""
    leaves = []

    def prepare(tensor):
        leaf = tensor.to(rounded)
        leaf = (leaf.float() if wide else leaf).requires_grad_()
        leaves.append(leaf)
        return leaf

    torch.manual_seed(0)
    outputs = case.run(rows, prepare)
    total = sum(out.float().sum() for out in outputs if out.requires_grad)
    if torch.is_tensor(total):
        total.backward()
    return outputs, [leaf.grad for leaf in leaves]


def test_every_served_operator_has_a_case():
    assert {op for case in CASES.values() for op in case.reached} == set(
        SERVED
    )


@pytest.mark.parametrize('name', CASES)
def test_reaches_its_operators(name, reached):
    outputs, grads = run(CASES[name], 3)
    assert set(CASES[name].reached) == reached
    assert all(torch.isfinite(out).all() and out.any() for out in outputs)
    found = [grad for grad in grads if grad is not None]
    assert all(torch.isfinite(grad).all() and grad.any() for grad in found)


@pytest.mark.parametrize('name', CASES)
def test_nothing_to_do(name):
    case = CASES[name]
    if case.refuses_empty is not None:
        # The operators themselves are tested with their families.
        with pytest.raises(case.refuses_empty):
            run(case, 0)
        return
    outputs, grads = run(case, 0)
    assert not any(out.any() for out in outputs)
    assert not any(grad.any() for grad in grads if grad is not None)


@pytest.mark.parametrize('dtype', NARROW)
@pytest.mark.parametrize('name', CASES)
def test_narrow_under_autocast(name, dtype):
    case = CASES[name]
    if (name, dtype) == ('sync_bn', torch.bfloat16):
        with pytest.raises(AssertionError, match='only support Half or Float'):
            run(case, 3, dtype)
        return
    want, wanted = run(case, 3, dtype, wide=True)
    with torch.autocast('cpu', dtype=dtype):
        outputs, grads = run(case, 3, dtype)
    assert all(out.dtype == dtype for out in outputs)
    pairs = list(zip(outputs, want, strict=True))
    pairs += list(zip(grads, wanted, strict=True))
    for one, exact in pairs:
        if exact is None:
            assert one is None
            continue
        error = (one.float() - exact).norm() / exact.norm()
        assert error < 4 * torch.finfo(dtype).eps, name
