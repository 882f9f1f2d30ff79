"""Tiny detectors of several kinds, their configs and "trained" files."""

import torch
from mmengine.config import Config

from cbnet.config_files import find_config
from cbnet.testing import TINY_MEMBERS, build_model, tiny_detector

FILES = {
    'DINO': 'dino/dino-4scale_r50_8xb2-12e_coco.py',
    'Mask2Former': 'mask2former/mask2former_r50_8xb2-lsj-50e_coco.py',
    'RTMDet': 'rtmdet/rtmdet_tiny_8xb32-300e_coco.py',
}
KINDS = ('FasterRCNN', 'MaskRCNN', 'RetinaNet', *FILES, 'Swin')
#: without data, but with a test pipeline that takes pixels
PIPELINE = """
model = {model}
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(96, 64), keep_ratio=False),
    dict(type='PackDetInputs', meta_keys=(
        'img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
]
test_dataloader = dict(dataset=dict(
    type='CocoDataset', pipeline=test_pipeline,
    metainfo=dict(classes=('a', 'b', 'c'))))
"""
_WIDE = dict(embed_dims=16, feedforward_channels=16)


def write_trained(kind, folder):
    """Write the config and the checkpoint of a detector; give both paths."""
    torch.manual_seed(0)
    model = _DETECTORS.get(kind, tiny_detector)(kind)
    config, checkpoint = folder / 'plain.py', folder / 'trained.pth'
    config.write_text(PIPELINE.format(model=model))
    built = build_model(model)
    for weight in built.parameters():  # as if trained: nothing is at zero
        weight.data += 0.02 * torch.randn(weight.shape)
    meta = dict(dataset_meta=dict(classes=('a', 'b', 'c')))
    torch.save(dict(state_dict=built.state_dict(), meta=meta), checkpoint)
    return config, checkpoint


def _model_of(kind):
    return Config.fromfile(find_config(f'mmdet::{FILES[kind]}')).model


def _dino(kind):
    model = _model_of(kind)
    model.backbone = dict(TINY_MEMBERS['resnet'], out_indices=(1, 2, 3))
    model.neck.in_channels = [16, 32, 64]
    # The decoder's positions have 256 channels, whatever the config says.
    for part in (model.encoder, model.decoder):
        part.num_layers = 1
        part.layer_cfg.ffn_cfg.feedforward_channels = 16
    model.num_queries = 20
    model.bbox_head.num_classes = 3
    model.dn_cfg.group_cfg.num_dn_queries = 4
    model.test_cfg.max_per_img = 20
    return model.to_dict()


def _mask2former(kind):
    model = _model_of(kind)
    model.backbone = TINY_MEMBERS['resnet']
    model.data_preprocessor.pop('batch_augments', None)
    head = model.panoptic_head
    head.update(
        in_channels=[8, 16, 32, 64],
        strides=[4, 8, 16, 32],
        feat_channels=16,
        out_channels=16,
        num_things_classes=3,
        num_stuff_classes=0,
        num_queries=10,
    )
    head.loss_cls.class_weight = [1.0] * 3 + [0.1]
    head.positional_encoding.num_feats = 8
    decoder = head.pixel_decoder
    decoder.norm_cfg.num_groups = 4
    decoder.positional_encoding.num_feats = 8
    decoder.encoder.num_layers = 1
    layer = decoder.encoder.layer_cfg
    layer.self_attn_cfg.update(embed_dims=16, num_heads=2)
    layer.ffn_cfg.update(_WIDE)
    head.transformer_decoder.num_layers = 2
    layer = head.transformer_decoder.layer_cfg
    layer.self_attn_cfg.update(embed_dims=16, num_heads=2)
    layer.cross_attn_cfg.update(embed_dims=16, num_heads=2)
    layer.ffn_cfg.update(_WIDE)
    fusion = model.panoptic_fusion_head
    fusion.update(num_things_classes=3, num_stuff_classes=0)
    model.train_cfg.num_points = 64
    model.test_cfg.max_per_image = 10
    return model.to_dict()


def _rtmdet(kind):
    model = _model_of(kind)
    model.backbone.update(deepen_factor=0.1, widen_factor=0.0625)
    model.backbone.pop('init_cfg', None)
    model.backbone.norm_cfg.type = 'BN'
    model.neck.update(
        in_channels=[16, 32, 64], out_channels=8, num_csp_blocks=1
    )
    model.bbox_head.update(in_channels=8, feat_channels=8, num_classes=3)
    model.data_preprocessor.pop('batch_augments', None)
    for part in (model.neck, model.bbox_head):
        part.norm_cfg.type = 'BN'
    model.test_cfg.update(score_thr=0.0, max_per_img=20)
    return model.to_dict()


def _of_swin(kind):
    return tiny_detector('RetinaNet', dict(TINY_MEMBERS['swin']))


_DETECTORS = {
    'DINO': _dino,
    'Mask2Former': _mask2former,
    'RTMDet': _rtmdet,
    'Swin': _of_swin,
}
