"""Soft non-maximum suppression: overlapped boxes lose score, on the CPU."""

import numpy as np
from torch import Tensor, from_numpy

from ...errors import UserValueError
from .precision import widen
from .table import serve

NAIVE, LINEAR, GAUSSIAN = range(3)
_X1, _Y1, _X2, _Y2, _SCORE, _AREA = range(6)


@serve('torch')
def softnms(
    boxes: Tensor,
    scores: Tensor,
    dets: Tensor,
    iou_threshold: float,
    sigma: float,
    min_score: float,
    method: int,
    offset: int,
) -> Tensor:
    """Take the best box, decay the scores of the others, repeat.

    Args:
        boxes: the boxes, (N, 4), xyxy, on the CPU as ``mmcv.ops`` passes
            them.
        scores: the scores, (N,).
        dets: the result, (N, 5), written: the first K rows become x1, y1,
            x2, y2 and the decayed score of the boxes taken, in that order.
        iou_threshold: the IoU from which the naive and the linear method
            decay a box.
        sigma: the width of the Gaussian decay ``exp(-iou ** 2 / sigma)``.
        min_score: the decayed score below which a box is dropped.
        method: the decay: 0 naive (drop), 1 linear (``1 - iou``), 2 Gaussian.
        offset: a summand, 0 or 1: sides are ``x2 - x1 + offset``.

    Returns:
        The indices of the boxes taken, (K,), int64.

    Raises:
        ValueError: the method is none of the three.
    """
    if method not in (NAIVE, LINEAR, GAUSSIAN):
        raise UserValueError(
            f'softnms: method is {method}, expected 0 (naive), 1 (linear) or '
            '2 (gaussian)'
        )
    corners = widen(boxes).numpy().T
    width, height = corners[2:] - corners[:2] + offset
    confidence = widen(scores).numpy()
    # One row per quantity, one column per box: the loop reorders columns.
    state = np.stack([*corners, confidence, width * height])
    index = np.arange(len(boxes))
    count, taken = len(boxes), 0
    while taken < count:
        best = taken + int(state[_SCORE, taken:count].argmax())
        state[:, [taken, best]] = state[:, [best, taken]]
        index[[taken, best]] = index[[best, taken]]
        rest = state[:, taken + 1 : count]
        overlap = _iou(state[:, taken], rest, offset)
        rest[_SCORE] *= _decay(overlap, method, iou_threshold, sigma)
        order = _survivors(rest[_SCORE] < min_score)
        if order is not None:
            count = taken + 1 + len(order)
            state[:, taken + 1 : count] = rest[:, order]
            index[taken + 1 : count] = index[taken + 1 :][order]
        taken += 1
    dets[:count] = from_numpy(state[: _SCORE + 1, :count].T.copy())
    return from_numpy(index[:count])


def _iou(box: np.ndarray, others: np.ndarray, offset: int) -> np.ndarray:
    left = np.maximum(box[_X1], others[_X1])
    top = np.maximum(box[_Y1], others[_Y1])
    width = np.minimum(box[_X2], others[_X2]) - left + offset
    height = np.minimum(box[_Y2], others[_Y2]) - top + offset
    inter = np.maximum(width, 0) * np.maximum(height, 0)
    # Two boxes without area give 0 / 0: no overlap, as everywhere in mmcv.
    with np.errstate(divide='ignore', invalid='ignore'):
        return inter / (box[_AREA] + others[_AREA] - inter)


def _decay(
    overlap: np.ndarray, method: int, iou_threshold: float, sigma: float
) -> np.ndarray:
    if method == GAUSSIAN:
        # In float64: numpy's float32 exp is off by up to three units in the
        # last place, which would reorder boxes of nearly equal scores.
        exponent = (-(overlap * overlap) / sigma).astype(np.float64)
        return np.exp(exponent).astype(overlap.dtype)
    lowered = 1 - overlap if method == LINEAR else np.zeros_like(overlap)
    return np.where(overlap >= iou_threshold, lowered, np.ones_like(overlap))


def _survivors(dropped: np.ndarray) -> np.ndarray | None:
    """Return the positions that remain, or None if none is dropped.

    They are in the compiled operator's order, which decides which of two
    equal scores is taken first: each gap, first to last, is filled with the
    last survivor.
    """
    if not dropped.any():
        return None
    kept = ~dropped
    count = int(kept.sum())
    order = np.arange(count)
    order[dropped[:count]] = (np.flatnonzero(kept[count:]) + count)[::-1]
    return order
