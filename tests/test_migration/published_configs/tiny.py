# faster_r50.py, tiny; for two steps of training.
_base_ = './faster_r50.py'
scale = (96, 64)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', img_scale=scale, keep_ratio=True),
    dict(type='RandomFlip', flip_ratio=0.5),
    dict(type='Normalize', mean=[120, 120, 120], std=[60, 60, 60]),
    dict(type='Pad', size_divisor=32),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_bboxes', 'gt_labels']),
]
data = dict(workers_per_gpu=0, train=dict(pipeline=train_pipeline))
model = dict(
    pretrained=None,
    backbone=dict(depth=18, base_channels=8, cb_inplanes=[8, 8, 16, 32, 64]),
    neck=dict(in_channels=[8, 16, 32, 64], out_channels=8),
    rpn_head=dict(in_channels=8, feat_channels=8),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=8),
        bbox_head=dict(in_channels=8, fc_out_channels=16, num_classes=2),
    ),
)
runner = dict(max_epochs=1)
log_config = dict(interval=1)
