# Dual EfficientNet-Lite0 Mask R-CNN for your own photos and small machines:
#   cbnet train configs/cbnet/dual_lite0.py --data-root DIR
_base_ = './quickstart.py'
scale = (640, 480)
max_iters = 480
load = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
]
train_dataloader = dict(
    batch_size=2,
    dataset=dict(
        pipeline=[
            *load,
            dict(type='Resize', scale=scale, keep_ratio=True),
            dict(type='RandomFlip', prob=0.5),
            dict(type='PackDetInputs'),
        ]
    ),
)
val_dataloader = dict(
    batch_size=1,
    dataset=dict(
        pipeline=[
            load[0],
            dict(type='Resize', scale=scale, keep_ratio=True),
            load[1],
            _base_.val_dataloader.dataset.pipeline[-1],
        ]
    ),
)
test_dataloader = val_dataloader
auto_scale_lr = dict(base_batch_size=2)
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(end=max_iters)
