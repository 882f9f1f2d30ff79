# Mask2Former for YouTube-VIS 2021, Dual-ResNet-50; 8,000 steps as its plain
# twin, which starts from a Mask2Former that was trained on COCO. With its file
# in both members:
#   cbnet replicate-members mask2former.pth start.pth \
#       --config configs/extensions/dual_mask2former_r50_vis.py
#   ... --cfg-options load_from=start.pth
_base_ = [
    'mmdet::mask2former_vis/mask2former_r50_8xb2-8e_youtubevis2021.py',
    '../_base_/plugin.py',
]
model = dict(
    type='AssistedDetector',
    base=_base_.model.type,
    assistance=dict(weights=[0.5]),
    init_cfg=None,
    backbone=dict(
        _delete_=True,
        type='CompositeBackbone',
        member=_base_.model.backbone,
        num_members=2,
        style='dhlc',
        shared_stages=1,
    ),
)
# The connections are new. They keep the whole rate, which the recipe lowers
# for its pretrained backbone.
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={'backbone.connections': dict(lr_mult=1.0)})
)
