"""Tiny members, composites and detectors that run in milliseconds."""

import copy
from pathlib import Path
from typing import Any

import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData, PixelData
from torch import nn

from ..config_files import find_config

#: name -> backbone config; every family of members has at least one entry
TINY_MEMBERS: dict[str, dict[str, Any]] = {
    'resnet': dict(type='ResNet', depth=18, base_channels=8),
    'resnet_deep_stem': dict(
        type='ResNet', depth=18, base_channels=8, deep_stem=True
    ),
    'resnet_bottleneck': dict(
        type='ResNet', depth=50, base_channels=4, style='caffe'
    ),
    'resnet_v1d': dict(type='ResNetV1d', depth=18, base_channels=8),
    'resnext': dict(
        type='ResNeXt', depth=50, base_channels=8, groups=2, base_width=4
    ),
    'res2net': dict(type='Res2Net', depth=50, base_channels=8, base_width=26),
    'regnet': dict(
        type='RegNet',
        arch=dict(w0=8, wa=12.0, wm=2.0, group_w=8, depth=5, bot_mul=1.0),
    ),
    'resnest': dict(
        type='ResNeSt', depth=50, base_channels=8, stem_channels=8
    ),
    'swin': dict(
        type='SwinTransformer',
        embed_dims=8,
        depths=(1, 2, 2, 1),
        num_heads=(1, 2, 4, 4),
        window_size=4,
        drop_path_rate=0.0,
    ),
    'timm_efficientnet': dict(
        type='TimmBackbone', model_name='test_efficientnet'
    ),
    'timm_resnet': dict(type='TimmBackbone', model_name='test_resnet'),
    'timm_convnext': dict(type='TimmBackbone', model_name='test_convnext'),
    'timm_vit': dict(type='TimmBackbone', model_name='test_vit'),
}

#: detector -> the file among mmdet's own configs that defines it
BASES = {
    'FasterRCNN': '_base_/models/faster-rcnn_r50_fpn.py',
    'MaskRCNN': '_base_/models/mask-rcnn_r50_fpn.py',
    'CascadeRCNN': '_base_/models/cascade-mask-rcnn_r50_fpn.py',
    'RetinaNet': '_base_/models/retinanet_r50_fpn.py',
    'HybridTaskCascade': 'htc/htc_r50_fpn_1x_coco.py',
}


def tiny_composite(
    member: str | list[str] = 'resnet', **options: Any
) -> dict[str, Any]:
    """Return the config of a composite of tiny members.

    Args:
        member: a key of ``TINY_MEMBERS``, or a list with one for each member.
        options: further arguments of ``CompositeBackbone``.
    """
    if isinstance(member, str):
        configs = copy.deepcopy(TINY_MEMBERS[member])
    else:
        configs = [copy.deepcopy(TINY_MEMBERS[name]) for name in member]
        options.setdefault('num_members', len(configs))
    return dict(type='CompositeBackbone', member=configs, **options)


def tiny_detector(
    base: str | Path = 'MaskRCNN',
    backbone: dict[str, Any] | None = None,
    num_classes: int = 3,
) -> dict[str, Any]:
    """Return the config of a detector, made tiny.

    Args:
        base: a key of ``BASES``, or the path of a config with a model.
        backbone: a backbone config whose stages have 8, 16, 32 and 64
            channels; the tiny ResNet by default.
        num_classes: the number of classes of all box and mask heads.
    """
    path = find_config(f'mmdet::{BASES[base]}') if base in BASES else base
    model = Config.fromfile(path).model
    model.backbone = backbone or copy.deepcopy(TINY_MEMBERS['resnet'])
    model.neck.update(in_channels=[8, 16, 32, 64], out_channels=8)
    if 'bbox_head' in model:
        model.bbox_head.update(
            in_channels=8, feat_channels=8, num_classes=num_classes
        )
    if 'rpn_head' in model:
        model.rpn_head.update(in_channels=8, feat_channels=8)
        for cfg in (model.train_cfg.rpn_proposal, model.test_cfg.rpn):
            cfg.update(nms_pre=50, max_per_img=30)
    small = dict(in_channels=8, conv_out_channels=8)
    extractor = dict(out_channels=8)
    changes = dict(
        bbox_head=dict(small, fc_out_channels=16, num_classes=num_classes),
        mask_head=dict(small, num_convs=1, num_classes=num_classes),
        semantic_head=small,
        bbox_roi_extractor=extractor,
        mask_roi_extractor=extractor,
        semantic_roi_extractor=extractor,
    )
    for name in changes.keys() & model.get('roi_head', {}).keys():
        parts = model.roi_head[name]
        for part in parts if isinstance(parts, list) else [parts]:
            part.update(changes[name])
    return model.to_dict()


def build_model(cfg: dict[str, Any]) -> nn.Module:
    """Build a model from its config, as inside a run of mmdet's tools."""
    with DefaultScope.overwrite_default_scope('mmdet'):
        return MODELS.build(ConfigDict(copy.deepcopy(cfg)))


def make_batch(
    boxes_per_image: tuple[int, ...] = (2, 3),
    size: tuple[int, int] = (64, 96),
    num_classes: int = 3,
    seed: int = 0,
) -> dict[str, Any]:
    """Make a batch for ``detector.data_preprocessor`` and ``loss``.

    Args:
        boxes_per_image: the number of instances in each image; may be 0.
        size: the (H, W) of the images, in pixels.
        num_classes: the number of classes that labels are drawn from.
        seed: the seed of the generator.

    Returns:
        ``inputs``, a list of uint8 images (3, H, W), and ``data_samples``
        with boxes (n, 4), xyxy in input pixels, labels (n,), bitmap masks,
        and a semantic map (1, H, W): 0 or an instance's label + 1.
    """
    generator = torch.Generator().manual_seed(seed)
    height, width = size
    corner = torch.tensor([width, height])
    inputs, samples = [], []
    for count in boxes_per_image:
        image = torch.randint(0, 256, (3, *size), generator=generator)
        inputs.append(image.to(torch.uint8))
        corners = torch.rand(count, 2, 2, generator=generator)
        first, last = (corners.sort(dim=1).values * corner).unbind(1)
        last = (last + 8).minimum(corner)
        boxes = torch.cat([first.minimum(last - 4), last], 1)
        labels = torch.randint(0, num_classes, (count,), generator=generator)
        masks = torch.zeros(count, *size, dtype=torch.uint8)
        semantic = torch.zeros(1, *size, dtype=torch.uint8)
        for mask, label, box in zip(masks, labels, boxes.int(), strict=True):
            x1, y1, x2, y2 = box
            mask[y1:y2, x1:x2] = 1
            semantic[:, y1:y2, x1:x2] = label + 1
        meta = dict(img_id=len(samples), img_shape=size, ori_shape=size)
        sample = DetDataSample(
            metainfo=dict(meta, scale_factor=(1.0, 1.0), flip=False)
        )
        bitmaps = BitmapMasks(masks.numpy(), height, width)
        truth = InstanceData(bboxes=boxes, labels=labels, masks=bitmaps)
        sample.gt_instances = truth
        sample.ignored_instances = InstanceData(
            bboxes=torch.zeros(0, 4), labels=labels[:0]
        )
        sample.gt_sem_seg = PixelData(sem_seg=semantic)
        samples.append(sample)
    return dict(inputs=inputs, data_samples=samples)
