"""Annotation files that pycocotools misreads are evaluated as they are meant.

The objects of a file, fed back as detections, must have a box and mask AP of
1.0: without ``iscrowd``, numbered from 0, or both. Where the detector or an
object has no mask, boxes alone are evaluated, and a line says why. What
covers no pixel is neither found nor missed.
"""

import json

import numpy as np
import pytest
import torch
from mmdet.registry import METRICS
from mmengine.registry import DefaultScope
from pycocotools import mask as coco_mask

from cbnet.evaluation.coco_metric import CheckedCocoMetric, use_checked_metric

SIDE, BOXES = 32, ([2, 3, 10, 8], [15, 12, 9, 14])


def objects(first=1, **further):
    """Make annotations, and their masks."""
    masks = np.zeros((len(BOXES), SIDE, SIDE), np.uint8)
    for mask, (x, y, w, h) in zip(masks, BOXES, strict=True):
        mask[y : y + h, x : x + w] = 1
    rles = [coco_mask.encode(np.asfortranarray(mask)) for mask in masks]
    return masks, [
        dict(
            id=number,
            image_id=1,
            category_id=5,
            bbox=box,
            area=box[2] * box[3],
            segmentation=rle | dict(counts=rle['counts'].decode()),
            **further,
        )
        for number, (box, rle) in enumerate(
            zip(BOXES, rles, strict=True), start=first
        )
    ]


def figures_of(folder, annotations, metric, masks=None):
    """Evaluate the boxes above, and masks if the detector gives some."""
    file = folder / 'val.json'
    content = dict(
        images=[dict(id=1, file_name='a.png', width=SIDE, height=SIDE)],
        annotations=annotations,
        categories=[dict(id=5, name='box')],
    )
    file.write_text(json.dumps(content))
    metric = CheckedCocoMetric(ann_file=str(file), metric=metric)
    metric.dataset_meta = dict(classes=('box',))
    x, y, w, h = torch.tensor(BOXES, dtype=torch.float32).T
    found = dict(
        bboxes=torch.stack([x, y, x + w, y + h], dim=1),
        labels=torch.zeros(len(BOXES), dtype=torch.long),
        scores=torch.ones(len(BOXES)),
    )
    if masks is not None:
        found['masks'] = torch.from_numpy(masks).bool()
    sample = dict(img_id=1, ori_shape=(SIDE, SIDE), pred_instances=found)
    for _ in range(2):  # training evaluates more than once
        metric.process({}, [sample])
        figures = metric.evaluate(size=1)
    return figures


@pytest.mark.parametrize('first', [0, 1])
@pytest.mark.parametrize('crowd', [{}, dict(iscrowd=0)])
def test_perfect_detections(tmp_path, first, crowd):
    masks, annotations = objects(first, **crowd)
    figures = figures_of(tmp_path, annotations, ['bbox', 'segm'], masks)
    assert figures['coco/bbox_mAP'] == figures['coco/segm_mAP'] == 1.0


@pytest.mark.parametrize(
    'nothing',
    [
        dict(bbox=[4, 4, 0.5, 9], area=4.5),
        dict(bbox=[4, 4, 9, 0], area=0),
        dict(bbox=[32, 4, 1, 9]),  # beside the image, within the tolerance
        dict(segmentation=dict(size=[SIDE, SIDE], counts=[SIDE * SIDE])),
        dict(segmentation=[[4, 4, 9, 4.2, 4, 4.2]]),
    ],
)
def test_objects_without_pixels(tmp_path, nothing):
    masks, annotations = objects()
    annotations.append(annotations[0] | dict(id=3) | nothing)
    figures = figures_of(tmp_path, annotations, ['bbox', 'segm'], masks)
    assert figures['coco/bbox_mAP'] == figures['coco/segm_mAP'] == 1.0


@pytest.mark.parametrize('metric', ['segm', ['bbox', 'segm']])
@pytest.mark.parametrize('lacking', ['found', 'annotated', 'empty'])
def test_masks_that_cannot_be_evaluated(tmp_path, metric, lacking, capsys):
    masks, annotations = objects()
    if lacking == 'found':
        masks, reason = None, 'the detector gives none'
    else:
        reason = '1 of 2 annotations have none'
        annotations[1]['segmentation'] = []
        if lacking == 'annotated':
            del annotations[1]['segmentation']
    figures = figures_of(tmp_path, annotations, metric, masks)
    assert figures['coco/bbox_mAP'] == 1.0
    assert 'coco/segm_mAP' not in figures
    said = capsys.readouterr()
    assert f'not evaluated, because {reason}' in said.out + said.err


def test_every_evaluator_is_reached(monkeypatch):
    names = dict(METRICS.module_dict)
    monkeypatch.setattr(METRICS, '_module_dict', names)
    use_checked_metric()
    with DefaultScope.overwrite_default_scope('mmdet'):
        metric = METRICS.build(dict(type='CocoMetric'))
    assert type(metric) is CheckedCocoMetric
