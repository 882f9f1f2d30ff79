# Faster R-CNN, Dual-ResNet-50, 1x: 40.8 box AP as published.
# 12 epochs of 8 GPUs x 2 images; SGD 0.02, steps at epochs 8 and 11.
# Members start from torchvision's resnet50 (ImageNet-1k).
_base_ = [
    'mmdet::_base_/models/faster-rcnn_r50_fpn.py',
    'mmdet::_base_/datasets/coco_detection.py',
    'mmdet::_base_/schedules/schedule_1x.py',
    '../_base_/cbnet_runtime.py',
]
model = dict(
    type='AssistedDetector',
    base=_base_.model.type,
    assistance=dict(weights=[0.5], proposals='lead'),
    backbone=dict(
        _delete_=True,
        type='CompositeBackbone',
        member=_base_.model.backbone,
        num_members=2,
        style='dhlc',
        shared_stages=1,
    ),
)
