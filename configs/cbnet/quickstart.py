# Dual EfficientNet-Lite0 Mask R-CNN on the generated shapes: `make quickstart`
_base_ = [
    '../_base_/models/mask_rcnn_small.py',
    '../_base_/members/efficientnet_lite0.py',
    '../_base_/datasets/shapes_instance.py',
    '../_base_/schedules/adamw_320it.py',
    '../_base_/cbnet_runtime.py',
]
num_classes = len(_base_.classes)
model = dict(
    type='AssistedDetector',
    base=_base_.model.type,
    assistance=dict(weights=[0.5], proposals='lead'),
    backbone=dict(
        _delete_=True,
        type='CompositeBackbone',
        member=_base_.member,
        num_members=2,
        style='dhlc',
        shared_stages=1,
    ),
    roi_head=dict(
        bbox_head=dict(num_classes=num_classes),
        mask_head=dict(num_classes=num_classes),
    ),
)
# Counted in iterations, so that a run resumes exactly where it stopped.
train_dataloader = dict(sampler=dict(type='InfiniteSampler'))
default_hooks = dict(
    logger=dict(interval=10, log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=40, max_keep_ckpts=2),
)
log_processor = dict(by_epoch=False, window_size=10)
custom_hooks = [dict(type='ChannelsLastHook')]
randomness = dict(seed=0)
