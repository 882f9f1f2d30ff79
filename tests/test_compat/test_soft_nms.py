"""soft_nms through mmcv.ops.

Scenarios: the compiled operator's golden values; a float64 loop over random
boxes, all three methods; the order of equal scores after boxes were dropped;
a first box below min_score; no boxes; float64, bfloat16, numpy and inputs
that need a gradient; an unknown method.
"""

import math

import numpy as np
import pytest
import torch
from mmcv.ops import soft_nms

from cbnet.compat.ops.soft_nms import softnms

from .box_references import iou, random_boxes

METHODS = ['naive', 'linear', 'gaussian']


def loop_soft_nms(boxes, scores, threshold, sigma, lowest, method, offset):
    """The rule on a list of (score, index, box), first of equals first."""
    rows = [
        [score, index, box]
        for index, (score, box) in enumerate(
            zip(scores.double().tolist(), boxes.double().tolist(), strict=True)
        )
    ]
    taken = []
    while rows:
        best = max(range(len(rows)), key=lambda i: (rows[i][0], -i))
        rows[0], rows[best] = rows[best], rows[0]
        first = rows.pop(0)
        taken.append(first)
        place = 0
        while place < len(rows):
            overlap = iou(first[2], rows[place][2], offset)
            if method == 'gaussian':
                rows[place][0] *= math.exp(-(overlap**2) / sigma)
            elif overlap >= threshold:
                rows[place][0] *= 0 if method == 'naive' else 1 - overlap
            if rows[place][0] < lowest:
                last = rows.pop()
                if place < len(rows):
                    rows[place] = last
            else:
                place += 1
    return [row[1] for row in taken], [row[0] for row in taken]


@pytest.mark.parametrize('method', METHODS)
def test_golden(golden, method):
    inputs, want = golden['n60'], golden[f'soft_{method}_60']
    dets, keep = soft_nms(
        torch.from_numpy(inputs['boxes']),
        torch.from_numpy(inputs['scores']),
        iou_threshold=0.5,
        sigma=0.5,
        min_score=1e-3,
        method=method,
    )
    assert keep.tolist() == want['keep'].tolist()
    np.testing.assert_allclose(dets.numpy(), want['dets'], rtol=1e-6)


@pytest.mark.parametrize('offset', [0, 1])
@pytest.mark.parametrize('lowest', [1e-3, 0.3])
@pytest.mark.parametrize('method', METHODS)
@pytest.mark.parametrize('count', [1, 2, 90])
def test_equals_loop(count, method, lowest, offset):
    boxes, scores = random_boxes(count, seed=11 + count)
    options = (0.3, 0.4, lowest, method, offset)
    dets, keep = soft_nms(boxes, scores, *options)
    index, decayed = loop_soft_nms(boxes, scores, *options)
    assert keep.tolist() == index
    assert torch.equal(dets[:, :4], boxes[index])
    torch.testing.assert_close(
        dets[:, 4].double(), torch.tensor(decayed).double(), rtol=1e-5, atol=0
    )
    assert (count < 90) or (len(keep) < count) == (
        method == 'naive' or lowest == 0.3
    )


@pytest.mark.parametrize('method', METHODS)
def test_equal_scores_keep_the_compiled_order(method):
    # Dropped boxes are replaced from the back, which reorders the equals.
    boxes, _ = random_boxes(120, seed=13)
    scores = torch.full((120,), 0.5)
    options = (0.3, 0.5, 0.2, method, 0)
    keep = soft_nms(boxes, scores, *options)[1].tolist()
    assert len(keep) < 120
    assert keep == loop_soft_nms(boxes, scores, *options)[0]
    assert keep[1:] != sorted(keep[1:])


def test_first_box_is_taken_below_the_lowest_score():
    boxes, scores = random_boxes(5, seed=17)
    dets, keep = soft_nms(boxes, scores * 1e-4, min_score=0.1)
    assert keep.tolist() == [int(scores.argmax())]
    assert dets.shape == (1, 5)


def test_no_boxes():
    dets, keep = soft_nms(torch.zeros(0, 4), torch.zeros(0))
    assert dets.shape == (0, 5)
    assert keep.shape == (0,)
    assert keep.dtype == torch.long


def test_flat_boxes_overlap_nothing():
    boxes = torch.zeros(3, 4)
    dets, keep = soft_nms(boxes, torch.tensor([0.1, 0.3, 0.2]))
    assert keep.tolist() == [1, 2, 0]
    assert dets[:, 4].tolist() == torch.tensor([0.3, 0.2, 0.1]).tolist()


@pytest.mark.parametrize('dtype', [torch.float64, torch.bfloat16])
def test_other_types(dtype):
    boxes, scores = (t.to(dtype) for t in random_boxes(50, seed=19))
    dets, keep = soft_nms(boxes, scores, 0.3)
    options = (0.3, 0.5, 1e-3, 'linear', 0)
    index, decayed = loop_soft_nms(boxes, scores, *options)
    assert keep.tolist() == index
    assert dets.dtype == dtype
    torch.testing.assert_close(dets[:, 4], torch.tensor(decayed).to(dtype))


def test_numpy_and_inputs_with_gradient():
    boxes, scores = random_boxes(30, seed=23)
    want = soft_nms(boxes, scores)[1]
    dets, keep = soft_nms(boxes.numpy(), scores.numpy())
    assert isinstance(dets, np.ndarray)
    assert keep.tolist() == want.tolist()
    tracked = softnms(
        boxes.requires_grad_(),
        scores.requires_grad_(),
        torch.empty(30, 5),
        iou_threshold=0.3,
        sigma=0.5,
        min_score=1e-3,
        method=1,
        offset=0,
    )
    assert torch.equal(tracked, want)


def test_inputs_stay_as_they_were():
    boxes, scores = random_boxes(30, seed=29)
    copies = boxes.clone(), scores.clone()
    soft_nms(boxes, scores)
    assert torch.equal(boxes, copies[0])
    assert torch.equal(scores, copies[1])


def test_unknown_method():
    boxes, scores = random_boxes(2, seed=31)
    with pytest.raises(ValueError, match='method is 3'):
        softnms(boxes, scores, torch.zeros(2, 5), 0.5, 0.5, 0.1, 3, 0)
