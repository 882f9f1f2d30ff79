# Mask R-CNN, Dual-ResNet-50, 1x: dual_r50.py with masks.
_base_ = [
    'mmdet::_base_/models/mask-rcnn_r50_fpn.py',
    'mmdet::_base_/datasets/coco_instance.py',
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
