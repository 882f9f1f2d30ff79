"""Final detections of any detector, from several views of one image."""

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.ops import batched_nms
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import bbox_flip
from mmdet.structures.mask import mask2bbox
from mmengine.structures import InstanceData
from torch import nn

from ..errors import UserValueError
from .frames import frame_of, hide_flip

_KEPT = ('bboxes', 'scores', 'labels', 'masks')


def detect(detector: nn.Module, batch: dict[str, Any]) -> list[DetDataSample]:
    """Run a whole detector on one view, and flip its detections back."""
    frames = [frame_of(sample) for sample in batch['data_samples']]
    hidden = [hide_flip(sample) for sample in batch['data_samples']]
    samples = detector.test_step(dict(batch, data_samples=hidden))
    for sample, frame in zip(samples, frames, strict=True):
        if 'pred_instances' not in sample:
            raise UserValueError(
                f'{type(detector).__name__} predicts no instances, and '
                f'test-time augmentation can merge nothing else'
            )
        flip = dict(flip=bool(frame.flip), flip_direction=frame.flip)
        sample.set_metainfo(flip)
        found = sample.pred_instances
        kept = {key: found[key] for key in _KEPT if key in found}
        if 'masks' in kept:
            kept['masks'] = torch.as_tensor(kept['masks'])
        found = enclose_masks(InstanceData(**kept))
        if frame.flip:
            shape = sample.ori_shape
            found.bboxes = bbox_flip(found.bboxes, shape, frame.flip)
        if 'masks' in kept:
            found.masks = frame.unflip(found.masks)
        sample.pred_instances = found
    return samples


def enclose_masks(found: InstanceData) -> InstanceData:
    """Give boxes around the masks to detections of masks alone.

    Detectors such as SOLO give boxes (n, 4) of zeros, or none.

    Args:
        found: the detections of one image, changed in place.
    """
    boxes, masks = found.get('bboxes'), found.get('masks')
    if isinstance(masks, torch.Tensor) and (boxes is None or not boxes.any()):
        found.bboxes = mask2bbox(masks)
    return found


def merge_detections(
    samples: Sequence[DetDataSample], cfg: dict[str, Any]
) -> DetDataSample:
    """Select among the detections of all views; each box keeps its mask.

    Args:
        samples: the image's sample in every view, as ``detect`` returns it.
        cfg: the ``nms`` and ``max_per_img`` of the selection.

    Returns:
        The sample of the first view that is not flipped, with the selection.
    """
    merged = next((s for s in samples if not s.flip), samples[0])
    found = InstanceData.cat([sample.pred_instances for sample in samples])
    if len(samples) > 1 and len(found):
        found = _select(found, cfg)
    merged.pred_instances = found
    return merged


def _select(found: InstanceData, cfg: dict[str, Any]) -> InstanceData:
    if cfg.get('nms') is None:
        raise UserValueError(
            'test_cfg of the detector has no nms to select among the '
            "detections of all views; set tta_model=dict(type='MaskTTAModel', "
            "tta_cfg=dict(nms=dict(type='nms', iou_threshold=0.5), "
            'max_per_img=100)) in the config'
        )
    boxes, keep = batched_nms(
        found.bboxes, found.scores, found.labels, cfg.nms
    )
    found = found[keep]
    # Soft-NMS lowers scores.
    found.bboxes, found.scores = boxes[:, :4], boxes[:, 4]
    most = cfg.get('max_per_img', -1)
    return found[:most] if most > 0 else found
