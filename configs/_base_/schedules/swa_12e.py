# SWA as published: from a trained checkpoint (load_from) 12 more epochs; in
# each of them the rate falls along a cosine from the config's own to a
# hundredth of it, and what the epochs end with is averaged.
# Names of its own, because the other base of a config has the real ones.
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
