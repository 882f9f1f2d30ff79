"""mmdet's metric of YouTube-VIS runs on today's numpy, and gives AP 1 for
results that are the ground truth; numpy itself is left as it is.
"""

import numpy as np
from mmdet.evaluation.functional import YTVIS, YTVISeval
from pycocotools import mask as masks


def moving_square(first):
    """The masks of a square that moves to the right, in two frames."""
    for step in range(2):
        frame = np.zeros((64, 96), np.uint8, order='F')
        frame[8:40, first + 8 * step : first + 8 * step + 40] = 1
        yield masks.encode(frame)


def annotation(first):
    segmentations = list(moving_square(first))
    areas = [int(masks.area(part)) for part in segmentations]
    boxes = [masks.toBbox(part).tolist() for part in segmentations]
    return dict(
        id=1,
        video_id=1,
        category_id=1,
        iscrowd=0,
        segmentations=segmentations,
        areas=areas,
        bboxes=boxes,
        avg_area=float(np.mean(areas)),
    )


def ap_of(first):
    """The AP of a result whose square is elsewhere, or not."""
    truth = YTVIS(
        dict(
            videos=[dict(id=1, width=96, height=64, length=2)],
            categories=[dict(id=1, name='square')],
            annotations=[annotation(4)],
        )
    )
    result = dict(
        video_id=1,
        category_id=1,
        score=0.9,
        segmentations=list(moving_square(first)),
    )
    run = YTVISeval(truth, truth.loadRes([result]), 'segm')
    run.params.vidIds = [1]
    run.evaluate()
    run.accumulate()
    run.summarize()
    return run.stats[:2]  # AP, AP50


def test_the_metric_of_videos():
    assert np.allclose(ap_of(4), 1)
    assert np.allclose(ap_of(12), (0.4, 1))  # an IoU of 2 / 3
    assert np.allclose(ap_of(44), 0)
    assert not hasattr(np, 'float')
