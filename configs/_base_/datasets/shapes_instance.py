# The generated data set:
# python -m cbnet.datasets.generated --out data/shapes
_base_ = 'mmdet::_base_/datasets/coco_instance.py'
data_root = 'data/shapes/'
classes = ('triangle', 'square', 'star', 'heart', 'ring', 'cross')
load = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='Resize', scale=(320, 256), keep_ratio=True),
]
train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        data_root=data_root,
        ann_file='annotations/instances_train.json',
        data_prefix=dict(img='train/'),
        metainfo=dict(classes=classes),
        filter_cfg=dict(min_size=1),
        pipeline=[
            *load,
            dict(type='RandomFlip', prob=0.5),
            dict(type='PackDetInputs'),
        ],
    ),
)
val_dataloader = dict(
    batch_size=4,
    dataset=dict(
        data_root=data_root,
        ann_file='annotations/instances_val.json',
        data_prefix=dict(img='val/'),
        metainfo=dict(classes=classes),
        pipeline=[*load, _base_.test_pipeline[-1]],
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=f'{data_root}annotations/instances_val.json')
test_evaluator = val_evaluator
