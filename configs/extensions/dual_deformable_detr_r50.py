# Deformable DETR, Dual-ResNet-50; 50 epochs as its plain twin.
_base_ = [
    'mmdet::deformable_detr/deformable-detr_r50_16xb2-50e_coco.py',
    '../_base_/plugin.py',
]
model = dict(
    type='AssistedDetector',
    base=_base_.model.type,
    assistance=dict(weights=[0.5]),
    backbone=dict(
        _delete_=True,
        type='CompositeBackbone',
        member=_base_.model.backbone,
        num_members=2,
        style='dhlc',
        shared_stages=1,
    ),
)
# The connections are new. They keep the whole rate, which the recipe lowers
# for its pretrained backbone.
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={'backbone.connections': dict(lr_mult=1.0)})
)
