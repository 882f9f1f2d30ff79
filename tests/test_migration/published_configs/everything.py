# What the published recipes used, and more: mixed precision by apex, ranges
# of scales, policies, a semantic branch; and things without a counterpart.
_base_ = './faster_r50.py'
norm = dict(
    mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True
)
num_helpers = 3
extractor = dict(
    type='SingleRoIExtractor',
    roi_layer=dict(type='RoIAlign', output_size=7, sampling_ratio=0),
    out_channels=256,
    featmap_strides=[4, 8, 16, 32],
)
sizes = [(480, 1333), (512, 1333)]
train_pipeline = [
    dict(type='LoadImageFromFile', file_client_args=dict(backend='disk')),
    dict(
        type='LoadAnnotations', with_bbox=True, with_mask=True, with_seg=True
    ),
    dict(
        type='Resize',
        img_scale=[(1600, 400), (1600, 1400)],
        multiscale_mode='range',
        keep_ratio=True,
    ),
    dict(type='RandomFlip', flip_ratio=0.5),
    dict(
        type='AutoAugment',
        policies=[
            [
                dict(
                    type='Resize',
                    img_scale=sizes,
                    multiscale_mode='value',
                    keep_ratio=True,
                )
            ],
            [
                dict(
                    type='Resize',
                    img_scale=(400, 1333),
                    ratio_range=(0.8, 1.2),
                ),
                dict(
                    type='RandomCrop',
                    crop_type='absolute_range',
                    crop_size=(384, 600),
                    allow_negative_crop=True,
                ),
                dict(type='RandomCrop', crop_size=(200, 300)),
                dict(
                    type='Resize',
                    img_scale=sizes,
                    multiscale_mode='value',
                    override=True,
                    keep_ratio=True,
                ),
            ],
        ],
    ),
    dict(type='PhotoMetricDistortion', brightness_delta=32),
    dict(type='Rotate', level=3),
    dict(type='GoneTransform', strength=1),
    dict(type='Normalize', **norm),
    dict(type='Pad', size_divisor=32),
    dict(type='SegRescale', scale_factor=1 / 8),
    dict(type='DefaultFormatBundle'),
    dict(
        type='Collect',
        keys=['img', 'gt_bboxes', 'gt_labels', 'gt_masks', 'gt_semantic_seg'],
        meta_keys=('filename',),
    ),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiScaleFlipAug',
        img_scale=[(1600, 1000), (1600, 1400)],
        flip=True,
        transforms=[
            dict(type='Resize', keep_ratio=True),
            dict(type='RandomFlip'),
            dict(type='Normalize', **norm),
            dict(type='Pad', size_divisor=32),
            dict(type='ImageToTensor', keys=['img']),
            dict(type='Collect', keys=['img']),
        ],
    ),
]
data = dict(
    samples_per_gpu=1,
    workers_per_gpu=0,
    train=dict(
        _delete_=True,
        type='RepeatDataset',
        times=3,
        dataset=dict(
            type='CocoDataset',
            classes=('square', 'triangle'),
            ann_file=['DATA_ROOT/train.json', 'DATA_ROOT/val.json'],
            img_prefix=['DATA_ROOT/train/', 'DATA_ROOT/val/'],
            seg_prefix='DATA_ROOT/stuff/',
            proposal_file='DATA_ROOT/boxes.pkl',
            pipeline=train_pipeline,
        ),
    ),
    val=dict(pipeline=test_pipeline, samples_per_gpu=2),
    test=dict(pipeline=test_pipeline),
)
model = dict(
    type='HybridTaskCascade',
    neck=dict(end_level=4),
    roi_head=dict(
        _delete_=True,
        type='HybridTaskCascadeRoIHead',
        num_stages=1,
        stage_loss_weights=[1],
        bbox_roi_extractor=extractor,
        bbox_head=[
            dict(
                type='Shared2FCBBoxHead',
                num_classes=2,
                bbox_coder=dict(type='DeltaXYWHBBoxCoder'),
            )
        ],
        semantic_roi_extractor=extractor,
        semantic_head=dict(
            type='FusedSemanticHead',
            num_ins=5,
            fusion_level=1,
            num_convs=4,
            in_channels=256,
            conv_out_channels=256,
            num_classes=183,
            ignore_label=255,
            loss_weight=0.2,
        ),
    ),
    train_cfg=dict(
        rcnn=[
            dict(
                assigner=dict(
                    type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.5
                ),
                sampler=dict(type='RandomSampler', num=64, pos_fraction=0.25),
                pos_weight=-1,
            )
        ]
    ),
)
optimizer = dict(
    _delete_=True,
    type='AdamW',
    lr=0.0001,
    betas=(0.9, 0.999),
    weight_decay=0.05,
    constructor='GoneConstructor',
    paramwise_cfg=dict(
        custom_keys={
            'norm': dict(decay_mult=0.0),
            'backbone.cb_linears': dict(lr_mult=2.0),
        }
    ),
)
optimizer_config = dict(
    _delete_=True,
    type='DistOptimizerHook',
    update_interval=2,
    grad_clip=dict(max_norm=35, norm_type=2),
    coalesce=True,
    bucket_size_mb=-1,
    use_fp16=True,
    detect_anomalous_params=True,
)
fp16 = None
lr_config = dict(
    _delete_=True,
    policy='CosineAnnealing',
    min_lr_ratio=0.01,
    warmup='constant',
    warmup_iters=100,
    warmup_ratio=0.1,
    target_ratio=(10, 1),
)
runner = dict(type='EpochBasedRunnerAmp', max_epochs=36)
evaluation = dict(
    interval=2,
    start=20,
    metric=['bbox', 'segm'],
    save_best='bbox_mAP',
    classwise=True,
    gpu_collect=True,
)
checkpoint_config = dict(interval=2, max_keep_ckpts=3, meta=dict(a=1))
log_config = dict(
    interval=10,
    hooks=[
        dict(type='TextLoggerHook'),
        dict(type='TensorboardLoggerHook'),
        dict(type='PaviLoggerHook', project='p'),
    ],
)
custom_hooks = [
    dict(type='NumClassCheckHook'),
    dict(type='ExpMomentumEMAHook', momentum=0.0001),
]
momentum_config = dict(policy='cyclic')
resume_from = 'work_dirs/latest.pth'
load_from = 'published.pth'
workflow = [('train', 1), ('val', 1)]
seed = 7
opencv_num_threads = 0
find_unused_parameters = True
