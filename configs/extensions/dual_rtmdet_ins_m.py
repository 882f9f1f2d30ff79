# RTMDet-Ins-m with masks, two CSPNeXt-m; 300 epochs as its plain twin.
_base_ = [
    'mmdet::rtmdet/rtmdet-ins_m_8xb32-300e_coco.py',
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
