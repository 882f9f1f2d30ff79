# The battle's own protocol: what every entry shares except its model, which
# `cbnet battle` adds. Runs are counted in steps, with a cosine schedule.
_base_ = [
    'mmdet::_base_/datasets/coco_instance.py',
    '../_base_/cbnet_runtime.py',
]
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(
        type='AdamW', lr=3e-4, betas=(0.9, 0.999), weight_decay=0.05
    ),
    clip_grad=dict(max_norm=5),
    # Pretrained members learn more slowly than what is new.
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        bypass_duplicate=True,  # RTMDet's heads share convolutions
        custom_keys={
            'backbone': dict(lr_mult=0.3),
            'backbone.connections': dict(lr_mult=1.0),
        },
    ),
)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
custom_hooks = [dict(type='ResourcesHook')]
