"""Usual backbones, alone and in composites of copies, for tables of speed."""

from typing import Any

from mmengine.config import Config

from ...config_files import find_config

_BASE = 'mmdet::_base_/models/faster-rcnn_r50_fpn.py'
#: name -> the backbone of an ordinary detector, and its channels
BACKBONES: dict[str, tuple[dict[str, Any], list[int]]] = {
    'ResNet-50': (
        dict(
            type='ResNet',
            depth=50,
            num_stages=4,
            out_indices=(0, 1, 2, 3),
            norm_cfg=dict(type='BN', requires_grad=True),
            style='pytorch',
        ),
        [256, 512, 1024, 2048],
    ),
    'Swin-T': (
        dict(
            type='SwinTransformer',
            embed_dims=96,
            depths=[2, 2, 6, 2],
            num_heads=[3, 6, 12, 24],
            window_size=7,
            out_indices=(0, 1, 2, 3),
        ),
        [96, 192, 384, 768],
    ),
    'ConvNeXt-T': (
        dict(type='TimmBackbone', model_name='convnext_tiny'),
        [96, 192, 384, 768],
    ),
    'ViT-S/16': (
        dict(type='TimmBackbone', model_name='vit_small_patch16_224'),
        [384] * 4,
    ),
}


def detector_config(name: str, members: int = 0, **options: Any) -> Config:
    """Give the config of a Faster R-CNN with one of these backbones.

    Args:
        name: a key of ``BACKBONES``.
        members: the number of members of a composite; 0: the backbone as it
            is, without a composite.
        options: further arguments of ``CompositeBackbone``.
    """
    backbone, channels = BACKBONES[name]
    cfg = Config.fromfile(find_config(_BASE))
    if members:
        backbone = dict(
            type='CompositeBackbone',
            member=backbone,
            num_members=members,
            **options,
        )
    cfg.model.backbone = backbone
    cfg.model.neck.in_channels = channels
    return cfg
