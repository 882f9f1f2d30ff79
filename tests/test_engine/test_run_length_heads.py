"""Heads of several stages give the run lengths of their masks."""

from pathlib import Path

import mmdet
import pytest
import torch
from mmdet.structures.mask import encode_mask_results

from cbnet.engine.run_length_masks import run_length_masks
from cbnet.testing import (
    build_model,
    make_batch,
    tiny_composite,
    tiny_detector,
)

CONFIGS = Path(mmdet.__file__).parent / '.mim' / 'configs'
FILES = [
    'cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py',
    'htc/htc-without-semantic_r50_fpn_1x_coco.py',
]


@pytest.mark.parametrize('file', FILES)
def test_equal(file):
    model = tiny_detector(CONFIGS / file, tiny_composite())
    model['test_cfg']['rcnn'].update(max_per_img=6, score_thr=0.0)
    torch.manual_seed(0)
    detector = build_model(model).eval()
    results = []
    for on in (False, True):
        with torch.no_grad(), run_length_masks(detector, on):
            results.append(detector.test_step(make_batch((2, 1), (64, 96))))
    for images, encoded in zip(*results, strict=True):
        images, encoded = images.pred_instances, encoded.pred_instances
        assert len(images) == len(encoded) > 0 and images.masks.any()
        assert torch.equal(images.bboxes, encoded.bboxes)
        assert encode_mask_results(images.masks.numpy()) == encoded.masks
