"""COCO figures of results files.

Scenarios: both backends equal COCOeval called directly, with COCO's and with
mmdet's numbers of detections, box and mask; names and figures are those of
mmdet's CocoMetric; per-class figures average to the whole; results of masks
alone give boxes, polygons and plain run lengths are masks too; no detection
gives zeros; every mistake in either file is named with file and entry; a
missing package is named with the command that brings it; every file is read
once.
"""

import copy
import importlib.util
import json

import numpy as np
import pytest
from mmdet.evaluation import CocoMetric
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from cbnet.evaluation.coco import MMDET_NAMES, evaluate
from cbnet.evaluation.coco_backends import BACKENDS

BOTH = pytest.mark.parametrize('iou_type', ['bbox', 'segm'])


def direct(files, iou_type, max_dets=(1, 10, 100)):
    """Call pycocotools as its own demo does."""
    entries = copy.deepcopy(files.entries)
    if iou_type == 'segm':  # else masks are small or large by their boxes
        for entry in entries:
            del entry['bbox']
    truth = COCO(str(files.ann))
    evaluator = COCOeval(truth, truth.loadRes(entries), iou_type)
    evaluator.params.maxDets = list(max_dets)
    evaluator.evaluate()
    evaluator.accumulate()
    evaluator.summarize()
    return evaluator.stats


class OurFiles(CocoMetric):
    """mmdet's metric on a results file instead of predictions."""

    def results2json(self, results, outfile_prefix):
        return dict.fromkeys(('bbox', 'segm'), outfile_prefix)


@BOTH
@pytest.mark.parametrize('backend', BACKENDS)
def test_figures_are_those_of_pycocotools(evaluation, iou_type, backend):
    figures = evaluate(evaluation.ann, evaluation.results, iou_type, backend)
    expected = direct(evaluation, iou_type)
    assert np.abs(np.array(figures.stats) - expected).max() < 1e-12
    wide = direct(evaluation, iou_type, (100, 300, 1000))
    found = list(figures.mmdet.values())
    assert np.abs(np.array(found) - wide).max() < 1e-12
    # the data tell all of them apart
    assert len(set(expected)) == 12 and 0 < min(expected) < max(expected) < 1
    assert wide[7] > wide[6]
    assert figures.images == 12
    assert figures.detections == len(evaluation.entries)


@BOTH
def test_names_and_figures_are_those_of_mmdet(evaluation, iou_type):
    metric = OurFiles(
        str(evaluation.ann),
        metric=iou_type,
        metric_items=list(MMDET_NAMES),
        outfile_prefix=str(evaluation.results),
    )
    metric.dataset_meta = dict(classes=('nut', 'pea', 'fig', 'never there'))
    reported = metric.compute_metrics([(None, None)])
    figures = evaluate(evaluation.ann, evaluation.results, iou_type)
    rounded = {key: round(n, 3) for key, n in figures.mmdet.items()}
    assert rounded == pytest.approx(reported, abs=1e-9)
    assert list(rounded) == list(reported)


@BOTH
def test_classes_average_to_the_whole(evaluation, iou_type):
    figures = evaluate(evaluation.ann, evaluation.results, iou_type)
    rows = figures.classwise
    assert [row['id'] for row in rows] == [3, 7, 9, 20]
    assert [row['name'] for row in rows[2:]] == ['never there', 'fig']
    assert rows[2]['AP'] == -1 and rows[2]['objects'] == 0
    counts = sum(not a['iscrowd'] for a in evaluation.content['annotations'])
    assert sum(row['objects'] for row in rows) == counts
    for place, name in enumerate(('AP', 'AP50', 'AP75')):
        values = [row[name] for row in rows if row['objects']]
        assert np.mean(values) == pytest.approx(figures.stats[place])
    for place, name in ((3, 'APs'), (4, 'APm'), (5, 'APl')):
        values = [row[name] for row in rows if row[name] > -1]
        assert np.mean(values) == pytest.approx(figures.stats[place])


def test_table_is_that_of_coco(evaluation):
    figures = evaluate(evaluation.ann, evaluation.results)
    lines = figures.table.splitlines()
    assert len(lines) == 12
    for line, value in zip(lines, figures.stats, strict=True):
        assert line.endswith(f'= {value:0.3f}')
    content = json.loads(json.dumps(figures.as_json()))
    assert content['stats'] == figures.stats and 'table' not in content


@pytest.mark.parametrize('empty', [True, False])
def test_masks_alone_give_boxes(evaluation, empty):
    masks = [{**e} for e in evaluation.entries]
    boxes = [{**e} for e in evaluation.entries]
    for mask, box in zip(masks, boxes, strict=True):
        del mask['bbox']
        mask |= dict(bbox=[]) if empty else {}
        box['bbox'] = coco_mask.toBbox(box.pop('segmentation')).tolist()
    files = evaluation.write(entries=boxes)
    expected = evaluate(files.ann, files.results)
    files = evaluation.write(entries=masks)
    assert evaluate(files.ann, files.results).stats == expected.stats


@pytest.mark.parametrize('backend', BACKENDS)
def test_other_kinds_of_masks_in_results(evaluation, backend):
    truth = next(
        annotation
        for annotation in evaluation.content['annotations']
        if isinstance(annotation['segmentation'], list)
    )
    crowd = next(
        annotation
        for annotation in evaluation.content['annotations']
        if annotation['iscrowd']
    )
    content = {**evaluation.content, 'annotations': [truth]}
    for mask, found in ((truth, 1), (crowd, 0)):
        entry = dict(
            image_id=truth['image_id'],
            category_id=truth['category_id'],
            score=1,
            segmentation=mask['segmentation'],
        )
        files = evaluation.write(content, [entry])
        figures = evaluate(files.ann, files.results, 'segm', backend)
        assert figures.stats[0] == pytest.approx(found)


@BOTH
@pytest.mark.parametrize('backend', BACKENDS)
def test_no_detection_is_no_crash(evaluation, iou_type, backend):
    files = evaluation.write(entries=[])
    figures = evaluate(files.ann, files.results, iou_type, backend)
    assert figures.stats == [0] * 12 and figures.detections == 0
    empty = {**files.content, 'annotations': []}
    files = evaluation.write(empty, files.entries)
    figures = evaluate(files.ann, files.results, iou_type, backend)
    assert figures.stats == [-1] * 12


@BOTH
@pytest.mark.parametrize('backend', BACKENDS)
def test_each_file_is_read_once(evaluation, readings, iou_type, backend):
    evaluate(evaluation.ann, evaluation.results, iou_type, backend)
    assert readings(evaluation.ann) == readings(evaluation.results) == 1


def test_iscrowd_may_be_left_out(evaluation):
    content = copy.deepcopy(evaluation.content)
    for annotation in content['annotations']:
        annotation['iscrowd'] = 0
    files = evaluation.write(content)
    expected = evaluate(files.ann, files.results).stats
    for annotation in content['annotations']:
        del annotation['iscrowd']
    files = evaluation.write(content)
    assert evaluate(files.ann, files.results).stats == expected


def change(entries, number, key, value):
    if value is None:
        del entries[number][key]
    else:
        entries[number][key] = value


@BOTH
@pytest.mark.parametrize(
    ('number', 'key', 'value', 'message'),
    [
        (0, 'image_id', 99, 'image_id is 99, expected .*of .*ann.json'),
        (5, 'category_id', 4, 'category_id is 4, expected .*ann.json'),
        (7, 'score', None, 'score is missing, expected a number'),
        (7, 'score', float('nan'), 'score is nan, expected a number'),
    ],
)
def test_wrong_results_are_named(
    evaluation, iou_type, number, key, value, message
):
    change(evaluation.entries, number, key, value)
    files = evaluation.write()
    message = rf'results.json: results\[{number}\]: {message}'
    with pytest.raises(ValueError, match=message):
        evaluate(files.ann, files.results, iou_type)


@pytest.mark.parametrize(
    ('iou_type', 'key', 'value', 'message'),
    [
        ('bbox', 'bbox', [1, 2, 3], r'bbox is \[1, 2, 3\], expected four'),
        ('segm', 'segmentation', None, 'no segmentation.*evaluate boxes'),
        ('segm', 'segmentation', [[1, 2, 3]], 'has 3 numbers, expected'),
        (
            'segm',
            'segmentation',
            dict(size=[200, 160], counts='abc'),
            r'size is \[200, 160\], expected \[160, 200\]',
        ),
    ],
)
def test_wrong_measures_in_results(evaluation, iou_type, key, value, message):
    change(evaluation.entries, 3, key, value)
    files = evaluation.write()
    message = rf'results.json: results\[3\]: .*{message}'
    with pytest.raises(ValueError, match=message):
        evaluate(files.ann, files.results, iou_type)


@pytest.mark.parametrize(
    ('iou_type', 'key', 'value', 'message'),
    [
        ('bbox', 'id', 0, r'\(id 0\): id is 0, expected an integer from 1'),
        ('bbox', 'id', 1, r'\[4\]: the id 1 occurs 2 times'),
        ('bbox', 'id', 'a', r"\[4\] \(id 'a'\): id is 'a', expected an int"),
        ('bbox', 'image_id', 99, r'\[4\] \(id 5\): image_id is 99'),
        ('bbox', 'category_id', 99, 'category_id is 99'),
        ('bbox', 'bbox', None, 'bbox is missing, expected four numbers'),
        (
            'bbox',
            'area',
            None,
            'area is missing, expected the number',
        ),
        ('segm', 'segmentation', None, r'\(id 5\): has no segmentation'),
        ('segm', 'segmentation', [], 'has no segmentation, which the eval'),
        ('segm', 'segmentation', [[1, 2, 3]], 'has 3 numbers'),
    ],
)
def test_wrong_annotations_are_named(
    evaluation, iou_type, key, value, message
):
    change(evaluation.content['annotations'], 4, key, value)
    files = evaluation.write()
    with pytest.raises(ValueError, match=f'ann.json: annotations.*{message}'):
        evaluate(files.ann, files.results, iou_type)


def test_annotations_need_masks_for_masks_only(evaluation):
    for annotation in evaluation.content['annotations']:
        del annotation['segmentation']
    files = evaluation.write()
    assert evaluate(files.ann, files.results).stats[0] > 0


def test_files_of_another_kind_are_named(evaluation, tmp_path):
    ann, results = evaluation.ann, evaluation.results
    gone, broken = tmp_path / 'gone.json', tmp_path / 'broken.json'
    broken.write_text('[{"image_id": 1,')
    for arguments, message in (
        ((gone, results), 'gone.json.* is not there'),
        ((broken, results), 'broken.json: not JSON'),
        ((results, results), 'results.json: contains a list'),
        ((ann, gone), 'gone.json: the results file is not there'),
        ((ann, broken), 'broken.json: not JSON'),
        ((ann, ann), 'ann.json: contains a dict, expected a list of dicts'),
    ):
        with pytest.raises(ValueError, match=message):
            evaluate(*arguments)
    with pytest.raises(ValueError, match='iou_type is .mask.'):
        evaluate(ann, results, 'mask')
    with pytest.raises(ValueError, match='.fast., expected fastest, hotcoco'):
        evaluate(ann, results, backend='fast')


def test_missing_package_is_named(evaluation, monkeypatch):
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    for backend, package in (('faster', 'faster-coco-eval'), ('hotcoco',) * 2):
        with pytest.raises(ValueError, match=f'pip install {package}'):
            evaluate(evaluation.ann, evaluation.results, backend=backend)
    figures = evaluate(evaluation.ann, evaluation.results)
    assert figures.backend == 'pycocotools'


def test_what_the_fastest_refuses(evaluation, capsys):
    expected = evaluate(evaluation.ann, evaluation.results)
    for image in evaluation.content['images']:
        image['id'] -= 100
    for entry in (*evaluation.content['annotations'], *evaluation.entries):
        entry['image_id'] -= 100
    files = evaluation.write()
    figures = evaluate(files.ann, files.results)
    assert figures.backend == 'pycocotools'
    assert figures.stats == pytest.approx(expected.stats, abs=1e-12)
    assert 'pycocotools evaluates, because hotcoco' in capsys.readouterr().out
    with pytest.raises(Exception, match='non-negative'):
        evaluate(files.ann, files.results, backend='hotcoco')


def test_the_fastest_is_the_default(evaluation):
    figures = evaluate(evaluation.ann, evaluation.results)
    assert figures.backend == BACKENDS[0] == 'hotcoco'
