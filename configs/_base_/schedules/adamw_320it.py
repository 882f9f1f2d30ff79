# 320 steps of 4 images: a cosine schedule after 60 steps of warm-up.
max_iters = 320
train_cfg = dict(
    type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters
)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=60),
    dict(
        type='CosineAnnealingLR',
        by_epoch=False,
        begin=60,
        end=max_iters,
        eta_min_ratio=0.01,
    ),
]
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05),
    clip_grad=dict(max_norm=5),
    # Pretrained members learn more slowly than the rest.
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        custom_keys={'backbone.members': dict(lr_mult=0.3)},
    ),
)
auto_scale_lr = dict(enable=False, base_batch_size=4)
