# SWA as published: 12 more epochs from a trained checkpoint (load_from). In
# each epoch the rate falls along a cosine from the config's own rate to a
# hundredth of it; the weights at the ends of the epochs are averaged.
# The names begin with swa_ because the config's other base has the plain ones.
swa_train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=12, val_interval=1)
swa_param_scheduler = [
    dict(
        type='CosineRestartLR',
        by_epoch=True,
        convert_to_iter_based=True,
        periods=[1] * 12,
        restart_weights=[1] * 12,
        eta_min_ratio=0.01,
    ),
]
swa_hooks = [dict(type='SWAHook')]
