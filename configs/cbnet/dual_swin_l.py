# HTC 4conv1fc, Dual-Swin-L, 1x: 59.1 box AP, 51.0 mask AP as published.
# 12 epochs of 8 GPUs x 1 image; AdamW 5e-5 in mixed precision, steps at
# epochs 8 and 11.
# Members: swin_large_patch4_window7_224_22k.pth (ImageNet-22k).
_base_ = [
    '../_base_/models/htc_4conv1fc.py',
    '../_base_/members/swin_l.py',
    '../_base_/datasets/coco_semantic_1600.py',
    '../_base_/schedules/adamw_12e.py',
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
    neck=dict(in_channels=[192, 384, 768, 1536]),
    test_cfg=dict(rcnn=dict(score_thr=0.001, nms=dict(type='soft_nms'))),
)
train_dataloader = dict(batch_size=1)
