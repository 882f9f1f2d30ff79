"""softmax_focal_loss through mmcv.ops.

Scenarios: a float64 loop over rows, ignored labels and class weights;
reductions; gradcheck; rows that are certain, whatever gamma; no rows;
bfloat16 and float16, also under autocast; a label too great.
"""

import math

import pytest
import torch
from mmcv.ops import SoftmaxFocalLoss, softmax_focal_loss


def random_case(rows=12, classes=5):
    g = torch.Generator().manual_seed(rows)
    logits = torch.randn(rows, classes, generator=g).double() * 3
    target = torch.randint(0, classes, (rows,), generator=g)
    target[:2] = -1  # ignored
    return logits, target


def loop(logits, target, gamma, alpha, weight=None):
    total = 0.0
    for row, label in zip(logits.tolist(), target.tolist(), strict=True):
        if label < 0:
            continue
        p = math.exp(row[label]) / sum(math.exp(x) for x in row)
        loss = -alpha * (1 - p) ** gamma * math.log(p)
        total += loss * (1 if weight is None else weight[label].item())
    return total


@pytest.mark.parametrize('weighted', [False, True])
@pytest.mark.parametrize(
    ('gamma', 'alpha'), [(2.0, 0.25), (0.7, 0.6), (0.0, 1.0)]
)
def test_equals_loop(gamma, alpha, weighted):
    logits, target = random_case()
    weight = torch.linspace(0.5, 2, 5).double() if weighted else None
    want = torch.tensor(loop(logits, target, gamma, alpha, weight)).double()
    loss = softmax_focal_loss(logits, target, gamma, alpha, weight, 'sum')
    torch.testing.assert_close(loss, want, rtol=1e-6, atol=1e-6)
    mean = SoftmaxFocalLoss(gamma, alpha, weight)(logits, target)
    torch.testing.assert_close(mean, loss / 12)
    rows = softmax_focal_loss(logits, target, gamma, alpha, weight, 'none')
    torch.testing.assert_close(rows.sum(), loss)
    assert not rows[:2].any()


@pytest.mark.parametrize('weighted', [False, True])
@pytest.mark.parametrize('gamma', [2.0, 0.7, 0.0])
@pytest.mark.parametrize('reduction', ['mean', 'sum'])
def test_gradcheck(gamma, weighted, reduction):
    logits, target = random_case()
    weight = torch.linspace(0.5, 2, 5).double() if weighted else None
    assert torch.autograd.gradcheck(
        lambda x: softmax_focal_loss(x, target, gamma, 0.3, weight, reduction),
        (logits.requires_grad_(),),
    )


@pytest.mark.parametrize('gamma', [2.0, 0.5, 0.0])
def test_certain_rows(gamma):
    logits = torch.tensor([[200.0, 0], [200, 0]], requires_grad=True)
    target = torch.tensor([0, 1])
    loss = softmax_focal_loss(logits, target, gamma, 0.5, None, 'sum')
    loss.backward()
    least = math.log(torch.finfo(torch.float32).tiny)
    torch.testing.assert_close(loss.item(), -0.5 * least)
    want = torch.tensor([[0.0, 0], [0.5, -0.5]])
    torch.testing.assert_close(logits.grad, want)


@pytest.mark.parametrize(('rows', 'classes'), [(0, 5), (0, 1)])
def test_empty(rows, classes):
    logits = torch.zeros(rows, classes, requires_grad=True)
    target = torch.zeros(rows, dtype=torch.long)
    loss = softmax_focal_loss(logits, target, 2.0, 0.25, None, 'sum')
    loss.backward()
    assert loss == 0
    assert logits.grad.shape == (rows, classes)


@pytest.mark.parametrize('autocast', [False, True])
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_narrow_logits(dtype, autocast):
    logits, target = random_case()
    logits = logits.to(dtype)
    results = []
    for kind in (torch.float64, dtype):
        leaf = logits.to(kind).requires_grad_()
        with torch.autocast('cpu', dtype=dtype, enabled=autocast):
            loss = softmax_focal_loss(leaf, target, 2.0, 0.25, None, 'sum')
        loss.backward()
        assert loss.dtype == leaf.grad.dtype == kind
        results.append((loss.double(), leaf.grad.double()))
    # mmcv takes the softmax in the narrow type, so a few units are lost.
    unit = torch.finfo(dtype).eps
    for want, found in zip(*results, strict=True):
        torch.testing.assert_close(found, want, rtol=8 * unit, atol=8 * unit)


def test_label_too_great():
    logits, target = random_case()
    target[3] = 5
    with pytest.raises(ValueError, match='label 5, expected at most 4'):
        softmax_focal_loss(logits, target, 2.0, 0.25, None, 'mean')
