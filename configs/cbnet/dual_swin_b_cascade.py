# Cascade Mask R-CNN 4conv1fc, Dual-Swin-B, 3x: no AP is published.
# 36 epochs of 8 GPUs x 1 image; AdamW 5e-5 in mixed precision, steps at
# epochs 27 and 33. Members: swin_base_patch4_window7_224_22k.pth
# (ImageNet-22k), as for the published HTC.
_base_ = [
    '../_base_/models/cascade_mask_rcnn_4conv1fc.py',
    '../_base_/members/swin_b.py',
    '../_base_/datasets/coco_instance_1600.py',
    '../_base_/schedules/adamw_36e.py',
    '../_base_/tta_4scales.py',
    '../_base_/cbnet_runtime.py',
]
model = dict(
    type='AssistedDetector',
    base=_base_.model.type,
    assistance=dict(weights=[0.5], proposals='lead'),
    backbone=dict(
        _delete_=True,
        type='CompositeBackbone',
        member=_base_.member,
        num_members=2,
        style='dhlc',
        shared_stages=0,
    ),
    neck=dict(in_channels=[128, 256, 512, 1024]),
    test_cfg=dict(rcnn=dict(score_thr=0.001, nms=dict(type='soft_nms'))),
)
train_dataloader = dict(batch_size=1)
