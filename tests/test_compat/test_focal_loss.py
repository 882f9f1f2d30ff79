"""sigmoid_focal_loss through mmcv.ops, as mmdet's FocalLoss calls it.

Scenarios: a float64 loop over logits, labels, background and class weights;
reductions; gradcheck; mmdet's own formula; extreme logits; no rows, no
classes; bfloat16 and float16, also under autocast; a label that is too great.
"""

import math

import pytest
import torch
from mmcv.ops import SigmoidFocalLoss, sigmoid_focal_loss
from mmdet.models.losses import focal_loss as mmdet_losses

TINY = torch.finfo(torch.float32).tiny


def random_case(rows=12, classes=5, scale=3.0):
    g = torch.Generator().manual_seed(rows)
    logits = torch.randn(rows, classes, generator=g).double() * scale
    target = torch.randint(0, classes + 1, (rows,), generator=g)
    target[0] = classes  # background, whatever the seed
    return logits, target


def loop_loss(logits, target, gamma, alpha, weight=None):
    out = torch.zeros_like(logits)
    for n, label in enumerate(target.tolist()):
        for c, x in enumerate(logits[n].tolist()):
            p = 1 / (1 + math.exp(-x))
            if c == label:
                loss = -alpha * (1 - p) ** gamma * math.log(max(p, TINY))
            else:
                loss = -(1 - alpha) * p**gamma * math.log(max(1 - p, TINY))
            if weight is not None and label < len(weight):
                loss *= weight[label].item()
            out[n, c] = loss
    return out


@pytest.mark.parametrize('weighted', [False, True])
@pytest.mark.parametrize(
    ('gamma', 'alpha'), [(2.0, 0.25), (1.5, 0.6), (0.0, 0.5)]
)
def test_equals_loop(gamma, alpha, weighted):
    logits, target = random_case()
    weight = torch.linspace(0.5, 2, 5).double() if weighted else None
    want = loop_loss(logits, target, gamma, alpha, weight)
    loss = sigmoid_focal_loss(logits, target, gamma, alpha, weight, 'none')
    torch.testing.assert_close(loss, want)
    narrow = sigmoid_focal_loss(
        logits.float(), target, gamma, alpha, weight, 'none'
    )
    torch.testing.assert_close(narrow, want.float())


def test_reductions():
    logits, target = random_case()
    want = loop_loss(logits, target, 2.0, 0.25).sum()
    total = SigmoidFocalLoss(2.0, 0.25, reduction='sum')(logits, target)
    mean = SigmoidFocalLoss(2.0, 0.25)(logits, target)
    torch.testing.assert_close(total, want)
    torch.testing.assert_close(mean, want / len(logits))


@pytest.mark.parametrize('reduction', ['none', 'mean'])
@pytest.mark.parametrize('weighted', [False, True])
def test_gradcheck(weighted, reduction):
    logits, target = random_case()
    weight = torch.linspace(0.5, 2, 5).double() if weighted else None

    assert torch.autograd.gradcheck(
        lambda x: sigmoid_focal_loss(x, target, 1.7, 0.3, weight, reduction),
        (logits.requires_grad_(),),
    )


def test_the_path_of_mmdet_on_cuda_equals_its_path_on_the_cpu():
    logits, target = random_case()
    one_hot = torch.nn.functional.one_hot(target, 6)[:, :5]
    rows = torch.rand(12).double()
    results = []
    for function, labels in (
        (mmdet_losses.sigmoid_focal_loss, target),
        (mmdet_losses.py_sigmoid_focal_loss, one_hot),
    ):
        x = logits.clone().requires_grad_()
        loss = function(x, labels, rows, 2.0, 0.25, 'mean', avg_factor=7.0)
        loss.backward()
        results.append((loss.detach(), x.grad))
    torch.testing.assert_close(*results)


def test_extreme_logits():
    # log p is exact far out, and stops at the log of the least float32.
    logits = torch.tensor([[-60.0, 60], [-200, 200]]).requires_grad_()
    target = torch.tensor([0, 0])
    loss = sigmoid_focal_loss(logits, target, 2.0, 0.25, None, 'none')
    floor = -math.log(TINY)
    want = torch.tensor([[15.0, 45.0], [floor / 4, floor * 3 / 4]])
    torch.testing.assert_close(loss, want)
    loss.sum().backward()
    torch.testing.assert_close(
        logits.grad, torch.tensor([[-0.25, 0.75], [-0.25, 0.75]])
    )


@pytest.mark.parametrize(('rows', 'classes'), [(0, 5), (4, 0)])
def test_empty(rows, classes):
    logits = torch.zeros(rows, classes, requires_grad=True)
    target = torch.zeros(rows, dtype=torch.long)
    loss = sigmoid_focal_loss(logits, target, 2.0, 0.25, None, 'sum')
    loss.backward()
    assert loss == 0
    assert logits.grad.shape == (rows, classes)


@pytest.mark.parametrize('autocast', [False, True])
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_narrow_logits(dtype, autocast):
    logits, target = random_case()
    logits = logits.to(dtype)
    exact = logits.double().requires_grad_()
    want = sigmoid_focal_loss(exact, target, 2.0, 0.25, None, 'none')
    want.sum().backward()
    logits.requires_grad_()
    with torch.autocast('cpu', dtype=dtype, enabled=autocast):
        loss = sigmoid_focal_loss(logits, target, 2.0, 0.25, None, 'none')
    loss.sum().backward()
    assert loss.dtype == logits.grad.dtype == dtype
    unit = torch.finfo(dtype).eps
    torch.testing.assert_close(loss.double(), want, rtol=unit, atol=1e-6)
    torch.testing.assert_close(
        logits.grad.double(), exact.grad, rtol=unit, atol=1e-6
    )


def test_label_beyond_background():
    logits, target = random_case()
    target[3] = 6
    with pytest.raises(ValueError, match='label 6, expected at most 5'):
        sigmoid_focal_loss(logits, target, 2.0, 0.25, None, 'none')
