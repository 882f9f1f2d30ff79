"""nms and batched_nms through mmcv.ops.

Scenarios: the compiled operator's golden values (offset 0 and 1, score
threshold, max_num, per class); a float64 loop over random boxes, IoUs at the
threshold included; ties; more boxes than one block; a chain in which every
second box survives; narrow types; no boxes; numpy arrays; under autocast.
"""

import numpy as np
import pytest
import torch
from mmcv.ops import batched_nms, nms

from cbnet.compat.ops import nms as served

from .box_references import iou, random_boxes


def loop_nms(boxes, scores, threshold, offset):
    boxes = boxes.double().tolist()
    scores = scores.double().tolist()
    order = sorted(range(len(boxes)), key=lambda i: -scores[i])
    kept = []
    for i in order:
        if all(iou(boxes[k], boxes[i], offset) <= threshold for k in kept):
            kept.append(i)
    return kept


@pytest.mark.parametrize('case', ['nms', 'nms_thr', 'nms_off1'])
def test_golden(golden, case):
    inputs, want = golden['n60'], golden[f'{case}_60']
    options = {
        key: want[key].item()
        for key in ('offset', 'score_threshold', 'max_num')
        if key in want
    }
    dets, keep = nms(
        torch.from_numpy(inputs['boxes']),
        torch.from_numpy(inputs['scores']),
        want['iou'].item(),
        **options,
    )
    assert keep.tolist() == want['keep'].tolist()
    np.testing.assert_array_equal(dets.numpy(), want['dets'])


@pytest.mark.parametrize(
    ('case', 'kind'), [('batched_60', 'nms'), ('batched_soft_60', 'soft_nms')]
)
def test_golden_batched(golden, case, kind):
    inputs, want = golden['n60'], golden[case]
    dets, keep = batched_nms(
        *(torch.from_numpy(inputs[k]) for k in ('boxes', 'scores', 'ids')),
        dict(type=kind, iou_threshold=0.5),
    )
    assert keep.tolist() == want['keep'].tolist()
    np.testing.assert_allclose(dets.numpy(), want['dets'], rtol=1e-6)


@pytest.mark.parametrize('offset', [0, 1])
@pytest.mark.parametrize('threshold', [0.1, 0.5, 0.7])
@pytest.mark.parametrize('count', [1, 7, 150])
def test_equals_loop(count, threshold, offset):
    boxes, scores = random_boxes(count, seed=count)
    dets, keep = nms(boxes, scores, threshold, offset)
    assert keep.tolist() == loop_nms(boxes, scores, threshold, offset)
    assert torch.equal(dets, torch.cat([boxes, scores[:, None]], 1)[keep])


@pytest.mark.parametrize('offset', [0, 1])
def test_iou_on_the_threshold_is_kept(offset):
    # IoU 3/10 in float32 is float32(0.3), which is greater than the double.
    boxes = torch.tensor([[0.0, 0, 10, 1], [0, 0, 3, 1]])
    boxes[:, 2:] -= offset
    scores = torch.tensor([0.9, 0.8])
    assert nms(boxes, scores, 0.3, offset)[1].tolist() == [0, 1]
    assert nms(boxes, scores, 0.2999, offset)[1].tolist() == [0]


@pytest.mark.parametrize('offset', [0, 1])
def test_of_equal_scores_the_first_wins(offset):
    boxes, _ = random_boxes(200, seed=3)
    scores = torch.arange(200).remainder(3).float()
    keep = nms(boxes, scores, 0.4, offset)[1].tolist()
    assert keep == loop_nms(boxes, scores, 0.4, offset)


def test_offset_1_does_not_round_the_corner():
    # x2 + 1 is not a float32 at 2 ** 24, so shifted boxes would be wrong.
    far = float(2**24)
    boxes = torch.tensor([[far, 0, far, 0], [far, 0, far + 2, 0]])
    keep = nms(boxes, torch.tensor([0.9, 0.8]), 0.3, offset=1)[1]
    assert keep.tolist() == [0]  # IoU 1/3, sides 1 and 3


def test_offset_1_in_several_blocks(monkeypatch):
    boxes, scores = random_boxes(300, seed=5, spread=120.0)
    whole = nms(boxes, scores, 0.3, offset=1)[1]
    monkeypatch.setattr(served, 'BLOCK', 16)
    assert torch.equal(nms(boxes, scores, 0.3, offset=1)[1], whole)
    assert whole.tolist() == loop_nms(boxes, scores, 0.3, 1)


def test_offset_1_in_a_chain(monkeypatch):
    # Each box suppresses its neighbour only if it was not suppressed itself.
    monkeypatch.setattr(served, 'BLOCK', 32)
    left = torch.arange(101) * 4.0
    boxes = torch.stack([left, left * 0, left + 10, left * 0 + 10], 1)
    keep = nms(boxes, torch.linspace(1, 0, 101), 0.4, offset=1)[1]
    assert keep.tolist() == list(range(0, 101, 2))


@pytest.mark.parametrize('offset', [0, 1])
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_narrow_types(dtype, offset):
    boxes, scores = (t.to(dtype) for t in random_boxes(80, seed=7))
    keep = nms(boxes, scores, 0.5, offset)[1].tolist()
    assert keep == loop_nms(boxes, scores, 0.5, offset)


@pytest.mark.parametrize('offset', [0, 1])
def test_scores_of_another_type_under_autocast(offset):
    boxes, scores = random_boxes(80, seed=8)
    scores = scores.bfloat16()
    want = loop_nms(boxes, scores, 0.5, offset)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        keep = nms(boxes, scores.float(), 0.5, offset)[1]
        same = nms(boxes.bfloat16().float(), scores, 0.5, offset)[1]
    assert keep.tolist() == want
    assert same.tolist() == loop_nms(boxes.bfloat16(), scores, 0.5, offset)


@pytest.mark.parametrize('offset', [0, 1])
def test_no_boxes(offset):
    dets, keep = nms(torch.zeros(0, 4), torch.zeros(0), 0.5, offset)
    assert dets.shape == (0, 5)
    assert keep.shape == (0,)
    assert keep.dtype == torch.long


def test_numpy_arrays():
    boxes, scores = random_boxes(40, seed=9)
    dets, keep = nms(boxes.numpy(), scores.numpy(), 0.5, offset=1)
    assert isinstance(dets, np.ndarray)
    assert keep.tolist() == loop_nms(boxes, scores, 0.5, 1)


def test_negative_and_flat_boxes():
    boxes = torch.tensor([[5.0, 5, 5, 5], [5, 5, 5, 5], [9, 9, 4, 4]])
    keep = nms(boxes, torch.tensor([0.3, 0.2, 0.1]), 0.5)[1]
    assert keep.tolist() == [0, 1, 2]  # 0 / 0 suppresses nothing
