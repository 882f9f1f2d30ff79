# The published schedule of CB-EVA-02: 40,000 steps of 64 images at a constant
# rate after 400 steps of warm-up; each layer learns 0.8 times as fast as the
# one above it, and the average of the weights is evaluated.
max_iters = 40000
train_cfg = dict(
    type='IterBasedTrainLoop', max_iters=max_iters, val_interval=5000
)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, end=400),
]
optim_wrapper = dict(
    type='AmpOptimWrapper',
    constructor='MemberLayerDecayConstructor',
    optimizer=dict(type='AdamW', lr=4e-5, weight_decay=0.1),
    paramwise_cfg=dict(layer_decay=0.8),
)
custom_hooks = [
    dict(type='EMAHook', ema_type='ExponentialMovingAverage', momentum=0.0001),
]
auto_scale_lr = dict(enable=False, base_batch_size=64)
