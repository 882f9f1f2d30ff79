"""Composite twins of detectors whose backbones run as they are.

1. The twins of YOLOX, RTMDet, RTMDet-Ins, YOLOv3, RetinaNet with an
   EfficientNet and Cascade R-CNN with DetectoRS's ResNet (ConvAWS, SAC),
   made tiny, train for two steps; every assistant and every connection has a
   gradient, and the trained twin predicts.
2. They are composed without memory for weights, where no operator needs it.
3. The recursion of DetectoRS is refused in one sentence, as is TridentNet in
   test_twins.py.
"""

import pytest
import torch
from mmengine.config import Config

from cbnet.testing import build_model, make_batch
from cbnet.twins import TwinOptions, compose

from ..test_compat.tiny_detectors import load, shrink_heads, shrink_resnet

NO_MASKS = ('RTMDet', 'YOLOX')  # their losses copy all of the ground truth
# The last layer of MobileNetV2, which plain YOLOv3 does not read either.
UNREAD = 'members.0.conv2.'
BN = dict(type='BN')
THREE = dict(in_channels=[16, 32, 64], out_channels=8, num_csp_blocks=1)
NARROW = dict(in_channels=8, feat_channels=8, num_classes=3)


def csp(model):
    model.backbone.update(
        deepen_factor=0.1, widen_factor=0.0625, norm_cfg=BN, init_cfg=None
    )
    model.neck.update(THREE, norm_cfg=BN)
    model.bbox_head.update(NARROW, norm_cfg=BN)


def yolov3(model):
    model.backbone.update(widen_factor=0.125, init_cfg=None)
    model.neck.update(in_channels=[40, 16, 8], out_channels=[16, 8, 8])
    model.bbox_head.update(
        in_channels=[16, 8, 8], out_channels=[16, 8, 8], num_classes=3
    )


def efficientnet(model):
    model.backbone.update(arch='b0', norm_cfg=BN, init_cfg=None)
    model.neck.update(in_channels=[40, 112, 320], out_channels=16)
    model.bbox_head.update(num_classes=3, in_channels=16, feat_channels=16)
    model.bbox_head.stacked_convs = 1


def detectors(model):
    shrink_resnet(model, depth=50)
    shrink_heads(model)
    # Untrained, ConvAWS makes the maps too large for fixed statistics.
    norm = dict(BN, momentum=1.0)
    model.backbone.update(norm_cfg=norm, norm_eval=False)


TINY = {
    'YOLOX': ('yolox/yolox_s_8xb8-300e_coco.py', csp),
    'RTMDet': ('rtmdet/rtmdet_tiny_8xb32-300e_coco.py', csp),
    'RTMDet-Ins': ('rtmdet/rtmdet-ins_tiny_8xb32-300e_coco.py', csp),
    'YOLOv3': ('yolo/yolov3_mobilenetv2_8xb24-320-300e_coco.py', yolov3),
    'EfficientNet': (
        'efficientnet/retinanet_effb3_fpn_8xb4-crop896-1x_coco.py',
        efficientnet,
    ),
    'DetectoRS': ('detectors/cascade-rcnn_r50-sac_1x_coco.py', detectors),
}


def twin_of(kind, folder):
    """Compose the twin of a tiny detector, and build it from its file."""
    file, shrink = TINY[kind]
    model = load(file)
    shrink(model)
    model.data_preprocessor.pop('batch_augments', None)
    plain = folder / 'plain.py'
    plain.write_text(f'model = {model.to_dict()}\n')
    model, _ = compose(str(plain), folder / 'twin.py', TwinOptions())
    devices = {p.device.type for p in model.parameters()}
    assert kind == 'DetectoRS' or devices == {'meta'}
    torch.manual_seed(0)
    return build_model(Config.fromfile(folder / 'twin.py').model)


def open_connections(model):
    for name, p in model.backbone.connections.named_parameters():
        if 'norm' in name:
            torch.nn.init.normal_(p, std=0.1)


@pytest.mark.parametrize('kind', TINY)
def test_a_twin_trains_and_predicts(kind, tmp_path):
    model = twin_of(kind, tmp_path).train()
    open_connections(model)
    parts = ('backbone.members.0.', 'backbone.connections.')
    learning = {
        n: p
        for n, p in model.named_parameters()
        if p.requires_grad and n.startswith(parts) and UNREAD not in n
    }
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    # Switchable convolution mirrors two pixels of the last map at its edge.
    batch = make_batch(size=(96, 128))
    if kind in NO_MASKS:
        for sample in batch['data_samples']:
            del sample.gt_instances.masks
    for _ in range(2):
        optimizer.zero_grad()
        loss, logged = model.parse_losses(
            model(**model.data_preprocessor(batch, True), mode='loss')
        )
        loss.backward()
        assert loss.isfinite()
        assert any(name.startswith('assist0.') for name in logged)
        for name, p in learning.items():
            assert p.grad is not None and p.grad.isfinite().all(), name
        for part in parts:
            assert any(p.grad.any() for n, p in learning.items() if part in n)
        optimizer.step()
    model.eval()
    with torch.no_grad():
        found = model.test_step(make_batch(size=(96, 128)))
    assert all(one.pred_instances.bboxes.isfinite().all() for one in found)


def test_a_recursive_neck_is_refused(tmp_path):
    words = (
        'DetectoRS_ResNet cannot be a member: it returns the image before its '
        r'maps .output_img=True., for a neck .*RFP.*use output_img=False'
    )
    file = 'mmdet::detectors/detectors_cascade-rcnn_r50_1x_coco.py'
    with pytest.raises(ValueError, match=words):
        compose(file, tmp_path / 'twin.py', TwinOptions())
    assert not (tmp_path / 'twin.py').exists()
