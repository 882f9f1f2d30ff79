"""mmdet's own tiny detectors train and predict through the served operators.

Scenarios: Faster, Mask and Cascade R-CNN and RetinaNet from mmdet's configs,
shrunk: finite losses whose gradient reaches the backbone; predictions that
NMS thinned out; Cascade R-CNN with soft-NMS; Mask R-CNN under bfloat16.
"""

from pathlib import Path

import mmdet
import pytest
import torch
from mmdet.registry import MODELS
from mmdet.testing._utils import demo_mm_inputs
from mmdet.utils import register_all_modules
from mmengine import Config
from torchvision.ops import box_iou

CONFIGS = Path(mmdet.__file__).parent / '.mim' / 'configs'
FILES = {
    'faster': 'faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
    'mask': 'mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py',
    'cascade': 'cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco.py',
    'retina': 'retinanet/retinanet_r50_fpn_1x_coco.py',
}
CHANNELS = 16


def shrink_head(head):
    head.update(num_classes=3, in_channels=CHANNELS)
    for key in ('fc_out_channels', 'conv_out_channels', 'feat_channels'):
        if key in head:
            head[key] = CHANNELS
    if 'stacked_convs' in head:
        head.update(stacked_convs=1)


def tiny(name, soft=False):
    register_all_modules()
    torch.manual_seed(0)
    model = Config.fromfile(CONFIGS / FILES[name]).model
    model.backbone.update(
        depth=18, base_channels=8, frozen_stages=-1, init_cfg=None
    )
    model.neck.update(in_channels=[8, 16, 32, 64], out_channels=CHANNELS)
    if name == 'retina':
        shrink_head(model.bbox_head)
        model.test_cfg.update(score_thr=0.0)
        return MODELS.build(model)
    model.rpn_head.update(in_channels=CHANNELS, feat_channels=CHANNELS)
    roi = model.roi_head
    heads = roi.bbox_head if name == 'cascade' else [roi.bbox_head]
    for head in heads:
        shrink_head(head)
    roi.bbox_roi_extractor.out_channels = CHANNELS
    if name == 'mask':
        shrink_head(roi.mask_head)
        roi.mask_head.num_convs = 1
        roi.mask_roi_extractor.out_channels = CHANNELS
    model.test_cfg.rcnn.update(score_thr=0.0)
    if soft:
        model.test_cfg.rcnn.nms = dict(type='soft_nms', iou_threshold=0.5)
    return MODELS.build(model)


def inputs(model):
    packed = demo_mm_inputs(
        2, [(3, 64, 96), (3, 60, 80)], num_classes=3, with_mask=True
    )
    data = model.data_preprocessor(packed, True)
    return data['inputs'], data['data_samples']


def train_once(model):
    model.train()
    losses, _ = model.parse_losses(model.loss(*inputs(model)))
    losses.backward()
    assert torch.isfinite(losses)
    gradient = model.backbone.conv1.weight.grad
    assert torch.isfinite(gradient).all()
    assert gradient.any()


def predict_once(model):
    model.eval()
    with torch.no_grad():
        samples = model.predict(*inputs(model))
    assert len(samples) == 2
    return [sample.pred_instances for sample in samples]


@pytest.mark.parametrize('name', FILES)
def test_trains_and_predicts(name):
    model = tiny(name)
    train_once(model)
    for found in predict_once(model):
        assert 0 < len(found) <= 100
        assert torch.isfinite(found.bboxes).all()
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
