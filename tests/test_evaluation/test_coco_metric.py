"""Annotation files that pycocotools misreads are evaluated as they are meant.

The objects of a file, fed back as detections, must have a box and mask AP of
1.0: without ``iscrowd``, numbered from 0, or both. Where the detector or an
object has no mask, boxes alone are evaluated, and a line says why. What
covers no pixel is neither found nor missed.

With any backend, the figures are those of mmdet's own metric, whatever it is
asked for.
"""

import importlib.util
import json

import numpy as np
import pytest
import torch
from mmdet.evaluation import CocoMetric
from mmdet.registry import METRICS
from mmdet.structures.mask import encode_mask_results
from mmengine.registry import DefaultScope
from pycocotools import mask as coco_mask

from cbnet.evaluation import coco_metric
from cbnet.evaluation.coco import evaluate
from cbnet.evaluation.coco_backends import BACKENDS
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


def figures_of(folder, annotations, metric, masks=None, category=5):
    """Evaluate the boxes above, and masks if the detector gives some."""
    file = folder / 'val.json'
    content = dict(
        images=[dict(id=1, file_name='a.png', width=SIDE, height=SIDE)],
        annotations=annotations,
        categories=[dict(id=category, name='box')],
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


def test_masks_encoded_where_they_are(tmp_path, monkeypatch):
    """As those on a GPU are."""
    monkeypatch.setattr(coco_metric, '_is_worth_it', torch.is_tensor)
    usual, seen = coco_metric.encode_masks, []

    def encode(masks):
        seen.append(usual(masks))
        return seen[-1]

    monkeypatch.setattr(coco_metric, 'encode_masks', encode)
    masks, annotations = objects()
    figures = figures_of(tmp_path, annotations, ['bbox', 'segm'], masks)
    assert figures['coco/bbox_mAP'] == figures['coco/segm_mAP'] == 1.0
    assert seen == [encode_mask_results(masks)] * 2


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


def from_file(kind, evaluation, **options):
    """Evaluate a results file by a metric."""

    class OnFile(kind):
        def results2json(self, results, outfile_prefix):
            return dict.fromkeys(
                ('bbox', 'segm', 'proposal'), str(evaluation.results)
            )

    metric = OnFile(ann_file=str(evaluation.ann), **options)
    # The classes are in the order of the config, not of their ids.
    metric.dataset_meta = dict(classes=('fig', 'nut', 'pea', 'never there'))
    masks = [((), dict(masks=[], img_id=n)) for n in range(1, 13)]
    return metric.compute_metrics(masks)


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize(
    'options',
    [
        dict(metric='bbox'),
        dict(metric='segm'),
        dict(metric='bbox', classwise=True, proposal_nums=(1, 10, 100)),
        dict(metric='segm', classwise=True, proposal_nums=(1, 10, 100)),
        dict(metric=['bbox', 'segm'], proposal_nums=(1, 10, 100)),
        dict(metric='proposal'),
        dict(metric='bbox', iou_thrs=[0.3, 0.5]),
        dict(
            metric='bbox',
            classwise=True,
            proposal_nums=(1, 10, 100),
            use_mp_eval=True,
        ),
    ],
)
def test_any_backend(evaluation, backend, options):
    usual = dict(options)
    if 'iou_thrs' in options:
        usual['iou_thrs'] = np.array(options['iou_thrs'])
    expected = from_file(CocoMetric, evaluation, **usual)
    if 'classwise' in options:  # mmdet gives them to classes in another order
        own = evaluate(evaluation.ann, evaluation.results, options['metric'])
        for row in own.classwise:
            ap = row['AP'] if row['objects'] else float('nan')
            expected[f'{row["name"]}_precision'] = round(ap, 3)
    found = from_file(
        CheckedCocoMetric, evaluation, backend=backend, **options
    )
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-12, nan_ok=True)
    assert len({*expected.values()}) > 3


def test_a_missing_backend_is_named_at_the_start(evaluation, monkeypatch):
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(ValueError, match='pip install hotcoco'):
        CheckedCocoMetric(ann_file=str(evaluation.ann), backend='hotcoco')
    metric = CheckedCocoMetric(ann_file=str(evaluation.ann))
    assert metric.backend == 'pycocotools'


def test_what_the_backend_refuses(tmp_path, capsys):
    _, annotations = objects()
    for entry in annotations:
        entry['category_id'] = -5
    figures = figures_of(tmp_path, annotations, 'bbox', category=-5)
    assert figures['coco/bbox_mAP'] == 1.0
    assert 'pycocotools evaluates' in capsys.readouterr().out
