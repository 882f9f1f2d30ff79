"""mmdet's detectors from mmdet's configs, shrunk to run in a second."""

from pathlib import Path

import mmdet
import torch
from mmdet.registry import MODELS
from mmdet.testing._utils import demo_mm_inputs
from mmdet.utils import register_all_modules
from mmengine import Config

CONFIGS = Path(mmdet.__file__).parent / '.mim' / 'configs'
CHANNELS = 16


def load(file):
    """Return the model of a config of mmdet."""
    register_all_modules()
    torch.manual_seed(0)
    return Config.fromfile(CONFIGS / file).model


def build(model):
    return MODELS.build(model)


def shrink_head(head):
    head.update(num_classes=3, in_channels=CHANNELS)
    for key in ('fc_out_channels', 'conv_out_channels', 'feat_channels'):
        if key in head:
            head[key] = CHANNELS
    if 'stacked_convs' in head:
        head.update(stacked_convs=1)


def shrink_resnet(model, depth=18):
    """Make the backbone narrow, and the neck with it."""
    model.backbone.update(
        depth=depth, base_channels=8, frozen_stages=-1, init_cfg=None
    )
    widths = [8, 16, 32, 64] if depth == 18 else [32, 64, 128, 256]
    widths = widths[-len(model.neck.in_channels) :]
    model.neck.update(in_channels=widths, out_channels=CHANNELS)


def shrink_heads(model):
    """Make narrow heads that find something, whatever the scores."""
    if 'roi_head' not in model:
        shrink_head(model.bbox_head)
        model.test_cfg.update(score_thr=0.0)
        return
    model.rpn_head.update(in_channels=CHANNELS, feat_channels=CHANNELS)
    roi = model.roi_head
    several = isinstance(roi.bbox_head, list)
    for head in roi.bbox_head if several else [roi.bbox_head]:
        shrink_head(head)
    roi.bbox_roi_extractor.out_channels = CHANNELS
    if 'mask_head' in roi:
        shrink_head(roi.mask_head)
        roi.mask_head.num_convs = 1
        roi.mask_roi_extractor.out_channels = CHANNELS
    model.test_cfg.rcnn.update(score_thr=0.0)


def inputs(model, size=(64, 96), count=2):
    """Return images, the first of the given height and width, with objects."""
    shapes = [(3, *size), (3, 60, 80)][:count]
    packed = demo_mm_inputs(count, shapes, num_classes=3, with_mask=True)
    data = model.data_preprocessor(packed, True)
    return data['inputs'], data['data_samples']


def train_once(model, size=(64, 96)):
    """Go forward and backward; return the loss."""
    model.train()
    losses, _ = model.parse_losses(model.loss(*inputs(model, size)))
    losses.backward()
    assert torch.isfinite(losses)
    gradient = next(model.backbone.parameters()).grad
    assert torch.isfinite(gradient).all()
    assert gradient.any()
    return losses.detach()


def predict_once(model, size=(64, 96), count=2):
    """Return what is found in each image."""
    model.eval()
    with torch.no_grad():
        samples = model.predict(*inputs(model, size, count))
    assert len(samples) == count
    found = [sample.pred_instances for sample in samples]
    for one in found:
        assert torch.isfinite(one.bboxes).all()
        assert torch.isfinite(one.scores).all()
    return found
