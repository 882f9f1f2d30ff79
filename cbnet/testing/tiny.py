"""Tiny members, composites and detectors that run in milliseconds."""

import copy
from pathlib import Path
from typing import Any

import mmdet
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData
from torch import nn

#: name -> backbone config; every backbone that can be a member has entries
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
}

#: detector -> its base file among mmdet's own configs
BASES = {
    'FasterRCNN': 'faster-rcnn_r50_fpn.py',
    'MaskRCNN': 'mask-rcnn_r50_fpn.py',
    'CascadeRCNN': 'cascade-mask-rcnn_r50_fpn.py',
    'RetinaNet': 'retinanet_r50_fpn.py',
    'HybridTaskCascade': '../../htc/htc_r50_fpn_1x_coco.py',
}


def tiny_composite(
    member: str | list[str] = 'resnet', **options: Any
) -> dict[str, Any]:
    """Return the config of a composite of tiny members.

    Args:
        member: a name of ``TINY_MEMBERS``, or one for each member.
        options: further arguments of ``CompositeBackbone``.
    """
    if isinstance(member, str):
        configs = copy.deepcopy(TINY_MEMBERS[member])
    else:
        configs = [copy.deepcopy(TINY_MEMBERS[name]) for name in member]
        options.setdefault('num_members', len(configs))
    return dict(type='CompositeBackbone', member=configs, **options)


def tiny_detector(
    base: str = 'MaskRCNN',
    backbone: dict[str, Any] | None = None,
    num_classes: int = 3,
) -> dict[str, Any]:
    """Return the config of one of mmdet's detectors, made tiny.

    Args:
        base: a key of ``BASES``.
        backbone: a backbone config with stages of 8, 16, 32, 64 channels;
            by default the tiny ResNet alone.
        num_classes: classes of all heads.
    """
    path = Path(mmdet.__file__).parent / '.mim/configs/_base_/models'
    model = Config.fromfile(path / BASES[base]).model.to_dict()
    model['backbone'] = backbone or copy.deepcopy(TINY_MEMBERS['resnet'])
    model['neck'].update(in_channels=[8, 16, 32, 64], out_channels=8)
    for head in ('rpn_head', 'bbox_head'):
        if head in model:
            model[head].update(in_channels=8, feat_channels=8)
    if 'bbox_head' in model:
        model['bbox_head']['num_classes'] = num_classes
    if 'roi_head' in model:
        _shrink_roi_head(model['roi_head'], num_classes)
    if 'rpn_proposal' in (model.get('train_cfg') or {}):
        model['train_cfg']['rpn_proposal'].update(nms_pre=50, max_per_img=30)
        model['test_cfg']['rpn'].update(nms_pre=50, max_per_img=30)
    return model


def _shrink_roi_head(roi_head: dict[str, Any], num_classes: int) -> None:
    for name in ('bbox', 'mask'):
        if f'{name}_head' not in roi_head:
            continue
        roi_head[f'{name}_roi_extractor']['out_channels'] = 8
        heads = roi_head[f'{name}_head']
        for head in heads if isinstance(heads, list) else [heads]:
            head.update(in_channels=8, num_classes=num_classes)
            if name == 'bbox':
                head['fc_out_channels'] = 16
            else:
                head.update(conv_out_channels=8, num_convs=1)
    if 'semantic_head' in roi_head:
        roi_head['semantic_roi_extractor']['out_channels'] = 8
        roi_head['semantic_head'].update(in_channels=8, conv_out_channels=8)


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
        boxes_per_image: ground-truth instances of each image; 0 is allowed.
        size: (H, W) of the images, in pixels.
        num_classes: labels are drawn from it.
        seed: of the generator.

    Returns:
        ``inputs``: a list of uint8 images (3, H, W); ``data_samples``: with
        boxes (n, 4), xyxy, input pixels, labels (n,) and bitmap masks.
    """
    generator = torch.Generator().manual_seed(seed)
    height, width = size
    inputs, samples = [], []
    for count in boxes_per_image:
        image = torch.randint(0, 256, (3, *size), generator=generator)
        inputs.append(image.to(torch.uint8))
        corners = torch.rand(count, 2, 2, generator=generator)
        corners = corners.sort(dim=1).values * torch.tensor([width, height])
        boxes = corners.flatten(1)
        boxes[:, 2:] = (boxes[:, 2:] + 8).minimum(
            torch.tensor([width, height])
        )
        boxes[:, :2] = boxes[:, :2].minimum(boxes[:, 2:] - 4)
        masks = torch.zeros(count, *size, dtype=torch.uint8)
        for mask, (x1, y1, x2, y2) in zip(masks, boxes.int(), strict=True):
            mask[y1:y2, x1:x2] = 1
        sample = DetDataSample(
            metainfo=dict(
                img_id=len(samples),
                img_shape=size,
                ori_shape=size,
                pad_shape=size,
                batch_input_shape=size,
                scale_factor=(1.0, 1.0),
                flip=False,
            )
        )
        sample.gt_instances = InstanceData(
            bboxes=boxes,
            labels=torch.randint(
                0, num_classes, (count,), generator=generator
            ),
            masks=BitmapMasks(masks.numpy(), height, width),
        )
        sample.ignored_instances = InstanceData(
            bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long)
        )
        samples.append(sample)
    return dict(inputs=inputs, data_samples=samples)
