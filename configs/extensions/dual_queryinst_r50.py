# QueryInst, Dual-ResNet-50, 1x.
_base_ = [
    'mmdet::queryinst/queryinst_r50_fpn_1x_coco.py',
    '../_base_/plugin.py',
]
model = dict(
    type='AssistedDetector',
    base=_base_.model.type,
    assistance=dict(weights=[0.5], proposals='lead'),
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
