# COCO at DETR's scales: a short side of 480 to 800, for the whole image or
# for a crop of it.
_base_ = 'mmdet::_base_/datasets/coco_instance.py'
resize = dict(
    type='RandomChoiceResize',
    scales=[(1333, short) for short in range(480, 801, 32)],
    keep_ratio=True,
)
crop = [
    dict(
        type='RandomChoiceResize',
        scales=[(1333, 400), (1333, 500), (1333, 600)],
        keep_ratio=True,
    ),
    dict(
        type='RandomCrop',
        crop_type='absolute_range',
        crop_size=(384, 600),
        allow_negative_crop=True,
    ),
]
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomChoice', transforms=[[resize], [*crop, resize]]),
    dict(type='PackDetInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
