# Cascade Mask R-CNN 4conv1fc, Dual-Swin-T, 3x: 53.6 box AP, 46.2 mask AP as
# published. 36 epochs of 8 GPUs x 2 images; AdamW 1e-4 in mixed precision,
# steps at epochs 27 and 33.
# Members: swin_tiny_patch4_window7_224.pth (ImageNet-1k).
_base_ = [
    '../_base_/models/cascade_mask_rcnn_4conv1fc.py',
    '../_base_/members/swin_t.py',
    '../_base_/datasets/coco_instance_detr.py',
    '../_base_/schedules/adamw_36e.py',
    '../_base_/cbnet_runtime.py',
]
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
        shared_stages=0,
    ),
    neck=dict(in_channels=[96, 192, 384, 768]),
)
optim_wrapper = dict(optimizer=dict(lr=1e-4))
auto_scale_lr = dict(base_batch_size=16)
