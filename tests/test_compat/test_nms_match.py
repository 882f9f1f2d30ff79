"""nms_match through mmcv.ops, which PISA's sampler asks.

Scenarios: a float64 loop over random boxes, ties included; IoUs on the
threshold, which match here; groups that span blocks; flat boxes; no boxes;
narrow types; numpy arrays; inputs that need a gradient.
"""

import numpy as np
import pytest
import torch
from mmcv.ops import nms_match

from cbnet.compat.ops import nms as served

from .box_references import iou, random_boxes


def loop(dets, threshold):
    *corners, scores = dets.double().unbind(1)
    boxes = torch.stack(corners, 1).tolist()
    rest = sorted(range(len(dets)), key=lambda i: -scores[i].item())
    groups = []
    while rest:
        first, *rest = rest
        taken = [
            i for i in rest if iou(boxes[first], boxes[i], 0) >= threshold
        ]
        groups.append([first, *taken])
        rest = [i for i in rest if i not in taken]
    return groups


def random_dets(count, seed, spread=60.0):
    boxes, scores = random_boxes(count, seed, spread)
    return torch.cat([boxes, scores[:, None]], 1)


def match(dets, threshold):
    return [group.tolist() for group in nms_match(dets, threshold)]


@pytest.mark.parametrize('threshold', [0.1, 0.5, 0.7])
@pytest.mark.parametrize('count', [1, 2, 150])
def test_equals_loop(count, threshold):
    dets = random_dets(count, seed=count)
    assert match(dets, threshold) == loop(dets, threshold)


def test_of_equal_scores_the_first_leads():
    dets = random_dets(120, seed=1)
    dets[:, 4] = torch.arange(120).remainder(3)
    assert match(dets, 0.4) == loop(dets, 0.4)


def test_iou_on_the_threshold_matches():
    # IoU 3/10 in float32 is float32(0.3), which is greater than the double.
    dets = torch.tensor([[0.0, 0, 10, 1, 0.9], [0, 0, 3, 1, 0.8]])
    assert match(dets, 0.3) == [[0, 1]]
    assert match(dets, 0.3001) == [[0], [1]]
    half = torch.tensor([[0.0, 0, 2, 1, 0.5], [0, 0, 1, 1, 0.6]])
    assert match(half, 0.5) == [[1, 0]]


def test_groups_across_blocks(monkeypatch):
    dets = random_dets(200, seed=2, spread=30.0)
    monkeypatch.setattr(served, 'BLOCK', 8)
    groups = match(dets, 0.3)
    assert groups == loop(dets, 0.3)
    assert max(map(len, groups)) > 8


def test_flat_boxes_match_nothing():
    dets = torch.tensor([[5.0, 5, 5, 5, 0.1], [5, 5, 5, 5, 0.2]])
    assert match(dets, 0.0) == [[1], [0]]


def test_no_boxes():
    assert nms_match(torch.zeros(0, 5), 0.5) == []
    assert served.nms_match(torch.zeros(0, 5), 0.5) == []


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_narrow_types(dtype):
    dets = random_dets(60, seed=3).to(dtype)
    with torch.autocast('cpu', dtype=dtype):
        assert match(dets, 0.5) == loop(dets, 0.5)


def test_numpy_and_inputs_with_gradient():
    dets = random_dets(30, seed=4)
    want = loop(dets, 0.5)
    groups = nms_match(dets.numpy(), 0.5)
    assert all(isinstance(group, np.ndarray) for group in groups)
    assert [group.tolist() for group in groups] == want
    assert match(dets.requires_grad_(), 0.5) == want
