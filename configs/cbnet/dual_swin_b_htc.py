# HTC, Dual-Swin-B: 57.9 box AP, 50.2 mask AP as published.
# 20 epochs of 8 GPUs x 1 image; AdamW 5e-5 in mixed precision, steps at
# epochs 16 and 19.
# Members: swin_base_patch4_window7_224_22k.pth (ImageNet-22k).
_base_ = [
    '../_base_/models/htc.py',
    '../_base_/members/swin_b.py',
    '../_base_/datasets/coco_semantic_1600.py',
    '../_base_/schedules/adamw_20e.py',
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
