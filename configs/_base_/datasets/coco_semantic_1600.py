# As coco_instance_1600.py, with semantic maps for training:
# stuffthingmaps/train2017/*.png, classes 0 to 181, and 255 is ignored.
_base_ = './coco_instance_1600.py'
semantic_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='LoadAnnotations', with_bbox=True, with_mask=True, with_seg=True
    ),
    *_base_.train_pipeline[2:],
]
train_dataloader = dict(
    dataset=dict(
        data_prefix=dict(seg='stuffthingmaps/train2017/'),
        pipeline=semantic_pipeline,
    ),
)
