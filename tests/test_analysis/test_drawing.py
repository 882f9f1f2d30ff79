"""Images with objects drawn over them.

Images keep their size to the pixel, small ones are enlarged, and a requested
width is kept. A single class has a colour for each object; several classes
have one colour each. The most important object is on top. Objects outside the
image, without a mask or with an empty mask can be drawn, and the random state
of NumPy does not change.
"""

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData

from cbnet.analysis.drawing import draw_instances

BOXES = [[4, 6, 30, 26], [50, 30, 90, 60]]


def objects(boxes=BOXES, labels=(0, 0), masks=True):
    found = InstanceData(
        bboxes=torch.tensor(boxes).float().reshape(-1, 4),
        labels=torch.tensor(labels).long(),
    )
    if masks:
        found.masks = np.zeros((len(boxes), 64, 96), bool)
        for mask, (x1, y1, x2, y2) in zip(found.masks, boxes, strict=True):
            mask[max(y1, 0) : y2, max(x1, 0) : x2] = True
    return found


def draw(instances, classes=('balloon',), width=None):
    pixels = np.full((64, 96, 3), 90, np.uint8)
    return draw_instances(pixels, instances, classes, width).astype(int)


@pytest.mark.parametrize(
    ('size', 'drawn'),
    [
        ((64, 96), (427, 640)),
        ((641, 333), (641, 333)),
        ((701, 1367), (701, 1367)),
        ((1365, 2048), (1365, 2048)),
    ],
)
def test_size(size, drawn):
    none = objects([], [], masks=False)
    pixels = np.full((*size, 3), 90, np.uint8)
    image = draw_instances(pixels, none, ['a'])
    assert image.shape == (*drawn, 3)
    assert (image == 90).all()  # to the last row and column


def test_a_requested_width():
    image = draw(objects(), width=240)
    assert image.shape == (160, 240, 3)
    changed = np.argwhere((image != 90).any(axis=2))
    # the boxes at 2.5 times the size, and half of the line around them
    assert np.abs(changed.min(axis=0) - (15, 10)).max() <= 3
    assert np.abs(changed.max(axis=0) - (150, 225)).max() <= 3


def middles(instances, classes):
    """Return the colours in the middle of the two objects."""
    image = draw(instances, classes, 960)
    return [
        image[10 * (y1 + y2) // 2, 10 * (x1 + x2) // 2]
        for x1, y1, x2, y2 in BOXES
    ]


def test_colours():
    one, other = middles(objects(), ['balloon'])
    assert np.abs(one - other).max() > 60
    one, other = middles(objects(labels=(0, 1)), ['balloon', 'kite'])
    assert np.abs(one - other).max() > 60


def test_a_class_has_one_colour():
    image = draw(objects(masks=False), ['balloon', 'kite'], 960)
    one, other = (image[5 * (y1 + y2), 10 * x1] for x1, y1, _, y2 in BOXES)
    assert (one == other).all() and np.ptp(one) > 30


def test_the_first_is_on_top():
    here = [BOXES[0]] * 2
    both, first, last = (
        draw(objects(here[: len(labels)], labels), ['balloon', 'kite'], 960)
        for labels in ((0, 1), (0,), (1,))
    )
    edge = both[160, 40], first[160, 40], last[160, 40]
    assert np.abs(edge[0] - edge[1]).max() < np.abs(edge[0] - edge[2]).max()


def test_objects_that_cannot_be_seen():
    plain = draw(objects([], [], masks=False))
    outside = [[-20, -20, -5, -5], [8, 8, 8, 8], [200, 70, 220, 90]]
    assert (draw(objects(outside, (0, 0, 0))) == plain).all()
    partly = [[-20, -20, 12, 10]]
    assert (draw(objects(partly, (0,))) != plain).any()
    without = objects()
    without.masks[:] = False
    assert (draw(without) != plain).any()


def test_unknown_labels_are_numbered():
    assert (draw(objects(labels=(0, 3)), ['balloon', 'kite']) != 90).any()


def test_the_random_state_stays():
    np.random.seed(7)
    one = draw(objects())
    first = np.random.rand()
    np.random.seed(7)
    assert np.random.rand() == first
    assert (draw(objects()) == one).all()
