# ATSS, Dual-ResNet-50, 1x.
_base_ = ['mmdet::atss/atss_r50_fpn_1x_coco.py', '../_base_/plugin.py']
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
