# Cascade Mask R-CNN, Dual-EVA-02-L, after CB-EVA-02: 40,000 steps of 64 images
# of 1536 pixels. docs/composite_vit.md lists what differs.
_base_ = [
    '../_base_/models/cascade_mask_rcnn_vit.py',
    '../_base_/members/eva02_l.py',
    '../_base_/datasets/coco_instance_lsj_1536.py',
    '../_base_/schedules/adamw_40000it_ema.py',
    '../_base_/cbnet_runtime.py',
]
model = dict(
    type='AssistedDetector',
    base=_base_.model.type,
    assistance=dict(weights=[0.5], proposals='own'),
    backbone=dict(
        _delete_=True,
        type='CompositeBackbone',
        member=_base_.member,
        num_members=2,
        style='ahlc',
        shared_stages=0,
        # Deviation: connections of CB-EVA-02. Convolutions that would read
        # the same map are one.
        connection=dict(norm_cfg=None, bias=True, init='zero'),
        with_cp=True,
    ),
)
train_dataloader = dict(batch_size=1, sampler=dict(type='InfiniteSampler'))
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=5000))
log_processor = dict(by_epoch=False)
