"""Detections as instances, as COCO results and as pictures.

Boxes become xywh and masks run lengths, the best first; a detector of masks
alone gets boxes from them; none found is no trouble; pictures keep their size
to the pixel, small ones are enlarged; a single class has a colour for each
object, several have one a class.
"""

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from pycocotools import mask as coco_mask

from cbnet.inference.detections import (
    draw_detections,
    to_entries,
    to_instances,
)

BOXES = [[4, 6, 30, 26], [50, 30, 90, 60]]


def predicted(boxes=BOXES, scores=(0.25, 0.75), labels=(1, 0), masks=True):
    sample = DetDataSample()
    found = InstanceData(
        bboxes=torch.tensor(boxes).float().reshape(-1, 4),
        scores=torch.tensor(scores).float(),
        labels=torch.tensor(labels).long(),
    )
    if masks:
        found.masks = torch.zeros(len(boxes), 64, 96, dtype=torch.bool)
        for mask, (x1, y1, x2, y2) in zip(found.masks, boxes, strict=True):
            mask[y1:y2, x1:x2] = True
    sample.pred_instances = found
    return sample


def test_instances_and_entries():
    entries = to_entries(9, to_instances(predicted(), [7, 3]))
    assert [entry['score'] for entry in entries] == [0.75, 0.25]
    assert [entry['category_id'] for entry in entries] == [7, 3]
    assert [entry['bbox'] for entry in entries] == [
        [50, 30, 40, 30],
        [4, 6, 26, 20],
    ]
    for entry in entries:
        assert entry['image_id'] == 9
        rle = entry['segmentation']
        assert isinstance(rle['counts'], str) and rle['size'] == [64, 96]
        assert coco_mask.toBbox(rle).tolist() == entry['bbox']


def test_boxes_alone_and_masks_alone():
    entries = to_entries(1, to_instances(predicted(masks=False), [1, 2]))
    assert not any('segmentation' in entry for entry in entries)
    sample = predicted()
    sample.pred_instances.bboxes.zero_()  # as mmdet's SOLO gives
    masks_alone = to_entries(1, to_instances(sample, [1, 2]))
    both = to_entries(1, to_instances(predicted(), [1, 2]))
    assert masks_alone == both


@pytest.mark.parametrize('masks', [True, False])
def test_nothing_found(masks):
    sample = predicted(boxes=[], scores=(), labels=(), masks=masks)
    assert to_instances(sample, [1]) == []


@pytest.mark.parametrize(
    ('size', 'drawn'),
    [
        ((64, 96), (427, 640)),
        ((641, 333), (641, 333)),
        ((701, 1367), (701, 1367)),
        ((1365, 2048), (1365, 2048)),
    ],
)
def test_size_of_pictures(size, drawn):
    picture = draw_detections(np.full((*size, 3), 90, np.uint8), [], {1: 'a'})
    assert picture.shape == (*drawn, 3)
    # to the last row and column
    assert np.abs(picture[-1].astype(int) - 90).max() < 6
    assert np.abs(picture[:, -1].astype(int) - 90).max() < 6


def inside(categories, labels):
    """Colours in the middle of the two objects."""
    instances = to_instances(predicted(labels=labels), list(categories))
    pixels = np.full((64, 96, 3), 90, np.uint8)
    picture = draw_detections(pixels, instances, categories).astype(int)
    scale = 640 / 96
    return [
        picture[round((y1 + y2) / 2 * scale), round((x1 + x2) / 2 * scale)]
        for x1, y1, x2, y2 in BOXES
    ]


def test_colours():
    one, other = inside({5: 'balloon'}, (0, 0))
    assert np.abs(one - other).max() > 60
    one, other = inside({5: 'balloon', 6: 'kite'}, (0, 0))
    assert np.abs(one - other).max() < 3
    one, other = inside({5: 'balloon', 6: 'kite'}, (0, 1))
    assert np.abs(one - other).max() > 60
