# Grounding DINO, Dual-Swin-T, tuned on COCO; 12 epochs as its plain twin,
# which starts from a trained file. With it in both members:
#   cbnet replicate-members groundingdino_swint_ogc.pth start.pth \
#       --config configs/extensions/dual_grounding_dino_swin_t.py
#   ... --cfg-options load_from=start.pth
# The text model needs a transformers that mmdet 3.3 works with:
#   pip install 'cbnet[detectors]'
_base_ = [
    'mmdet::grounding_dino/grounding_dino_swin-t_finetune_16xb2_1x_coco.py',
    '../_base_/plugin.py',
]
load_from = None
model = dict(
    type='AssistedDetector',
    base=_base_.model.type,
    assistance=dict(weights=[0.5]),
    backbone=dict(
        _delete_=True,
        type='CompositeBackbone',
        # Connections read the normed outputs of all stages.
        member=dict(_base_.model.backbone, out_indices=(0, 1, 2, 3)),
        out_indices=(1, 2, 3),
        num_members=2,
        style='dhlc',
        shared_stages=0,
    ),
    # Recomputing the encoder would need the package fairscale.
    encoder=dict(num_cp=0),
)
# The connections are new. They keep the whole rate, which the recipe lowers
# for its pretrained backbone.
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={'backbone.connections': dict(lr_mult=1.0)})
)
