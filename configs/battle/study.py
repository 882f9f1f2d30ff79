# The protocol of Battle of the Backbones (arXiv 2310.19909), with
# --head cascade-mask-rcnn: AdamW in mixed precision, 1000 steps of warm-up,
# DETR's scales and crops, one rate for everything.
_base_ = [
    '../_base_/datasets/coco_instance_detr.py',
    '../_base_/schedules/adamw_36e.py',
    '../_base_/cbnet_runtime.py',
]
optim_wrapper = dict(
    optimizer=dict(lr=1e-4),
    # RTMDet's heads share convolutions.
    paramwise_cfg=dict(bypass_duplicate=True),
)
custom_hooks = [dict(type='ResourcesHook')]
