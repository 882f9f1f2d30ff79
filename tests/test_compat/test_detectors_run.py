"""mmdet's own tiny detectors train and predict through the served operators.

Scenarios: Faster, Mask and Cascade R-CNN and RetinaNet from mmdet's configs,
shrunk: finite losses whose gradient reaches the backbone; predictions that
NMS thinned out; Cascade R-CNN with soft-NMS; Mask R-CNN under bfloat16.
"""

import pytest
import torch
from torchvision.ops import box_iou

from .tiny_detectors import (
    build,
    load,
    predict_once,
    shrink_heads,
    shrink_resnet,
    train_once,
)

FILES = {
    'faster': 'faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
    'mask': 'mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py',
    'cascade': 'cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco.py',
    'retina': 'retinanet/retinanet_r50_fpn_1x_coco.py',
}


def tiny(name, soft=False):
    model = load(FILES[name])
    shrink_resnet(model)
    shrink_heads(model)
    if soft:
        model.test_cfg.rcnn.nms = dict(type='soft_nms', iou_threshold=0.5)
    return build(model)


@pytest.mark.parametrize('name', FILES)
def test_trains_and_predicts(name):
    model = tiny(name)
    train_once(model)
    for found in predict_once(model):
        assert 0 < len(found) <= 100
        for label in found.labels.unique():
            overlap = box_iou(*[found.bboxes[found.labels == label]] * 2)
            assert (overlap.fill_diagonal_(0) <= 0.5 + 1e-5).all()
        if name == 'mask':
            assert found.masks.shape[0] == len(found)


def test_soft_nms_of_a_cascade():
    for found in predict_once(tiny('cascade', soft=True)):
        assert 0 < len(found) <= 100
        assert (found.scores.diff() <= 0).all()


def test_mask_rcnn_under_bfloat16():
    with torch.autocast('cpu', dtype=torch.bfloat16):
        model = tiny('mask')
        train_once(model)
        assert all(len(found) for found in predict_once(model))
