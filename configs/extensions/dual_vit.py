# Mask R-CNN, two ViT-B/16 whose blocks are divided into four groups, with a
# simple feature pyramid (ViTDet); AdamW.
_base_ = [
    '../cbnet/dual_r50_mask.py',
]
model = dict(
    backbone=dict(
        member=dict(
            _delete_=True,
            type='TimmBackbone',
            model_name='vit_base_patch16_224.mae',
        ),
        shared_stages=0,
    ),
    neck=dict(_delete_=True, type='SimpleFeaturePyramid', in_channels=768),
)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=1e-4, weight_decay=0.1)
)
