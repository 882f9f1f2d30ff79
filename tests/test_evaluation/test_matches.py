"""AP of resampled images.

1. With each image once it is COCO's AP, boxes and masks, with crowds and
   with detections that are wrong, doubled or of another class.
2. An image that is there twice counts as two images with equal content.
3. Samples are drawn with replacement, and the same ones each time.
"""

import json

import numpy as np
import pytest

from cbnet.datasets.coco_masks import to_rle
from cbnet.evaluation.coco import evaluate
from cbnet.evaluation.matches import (
    draw_samples,
    find_matches,
    resampled_ap,
)


def detections(content, rng):
    """Detect each object: far off with the best score, then near it."""
    found = []
    for number, one in enumerate(content['annotations'] * 3):
        x, y, w, h = one['bbox']
        best = number < len(content['annotations'])
        dx, dy = (20, 9) if best else rng.uniform(-2, 2, 2)
        box = [x + dx, y + dy, w, h]
        label = one['category_id'] if rng.random() < 0.8 else 1
        corners = [x + dx, y + dy, x + w, y + h, x, y + h]
        found.append(
            dict(
                image_id=one['image_id'],
                category_id=label,
                bbox=box,
                score=1.5 if best else float(rng.random()),
                segmentation=[corners],
            )
        )
    return found


@pytest.mark.parametrize('iou_type', ['bbox', 'segm'])
def test_resampled_images(tiny_coco, tmp_path, iou_type):
    rng = np.random.default_rng(3)
    truth = tiny_coco.root / 'train.json'
    content = json.loads(truth.read_text())
    found = detections(content, rng)
    images = {image['id']: image for image in content['images']}
    for one in found:  # masks of detections are run lengths
        rle = to_rle(one, images[one['image_id']])
        one['segmentation'] = rle | dict(counts=rle['counts'].decode())
    results = tmp_path / 'results.json'
    results.write_text(json.dumps(found))
    matches = find_matches(truth, results, iou_type)
    number = len(content['images'])
    once = np.ones((1, number), int)
    wanted = evaluate(truth, results, iou_type).stats[0]
    assert 0 < wanted < 1
    assert resampled_ap(matches, once)[0] == pytest.approx(wanted, abs=1e-12)

    double = json.loads(truth.read_text())
    copies = [i | dict(id=100 + i['id']) for i in content['images'][:1]]
    double['images'] += copies
    double['annotations'] += [
        a | dict(id=100 + a['id'], image_id=100 + a['image_id'])
        for a in content['annotations']
        if a['image_id'] == content['images'][0]['id']
    ]
    again = found + [
        d | dict(image_id=100 + d['image_id'])
        for d in found
        if d['image_id'] == content['images'][0]['id']
    ]
    (tmp_path / 'double.json').write_text(json.dumps(double))
    results.write_text(json.dumps(again))
    wanted = evaluate(tmp_path / 'double.json', results, iou_type).stats[0]
    times = once.copy()
    times[0, 0] = 2
    assert resampled_ap(matches, times)[0] == pytest.approx(wanted, abs=1e-12)
    assert np.isnan(resampled_ap(matches, 0 * once)[0])


def test_no_detections(tiny_coco, tmp_path):
    (tmp_path / 'none.json').write_text('[]')
    matches = find_matches(tiny_coco.root / 'val.json', tmp_path / 'none.json')
    assert resampled_ap(matches, np.ones((1, 2), int))[0] == 0


def test_samples():
    times = draw_samples(5, 400)
    assert (times.sum(axis=1) == 5).all()
    assert times.max() > 2 and abs(times.mean() - 1) < 1e-9
    assert (times == draw_samples(5, 400)).all()
