"""Final detections of any detector, from several views of one image."""

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.ops import batched_nms
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from ..errors import UserValueError
from .frames import Frame


def merge_detections(
    samples: Sequence[DetDataSample], cfg: dict[str, Any]
) -> InstanceData:
    """Select among the detections of all views; each box keeps its mask.

    Args:
        samples: of the same image, one a view; predictions in pixels of the
            image, flipped as the view.
        cfg: ``nms`` and ``max_per_img``.

    Raises:
        ValueError: the config has no NMS.
    """
    sizes = [tuple(sample.ori_shape[:2]) for sample in samples]
    views = [
        _unflipped(
            sample.pred_instances,
            Frame(
                size,
                (1.0, 1.0),
                sample.flip_direction if sample.flip else None,
            ),
        )
        for sample, size in zip(samples, sizes, strict=True)
    ]
    found = InstanceData.cat(views)
    if len(views) == 1 or not len(found):
        return found
    if cfg.get('nms') is None:
        raise UserValueError(
            'test_cfg of the detector has no nms to select among the '
            "detections of all views: set tta_model=dict(type='MaskTTAModel', "
            "tta_cfg=dict(nms=dict(type='nms', iou_threshold=0.5), "
            'max_per_img=100)) in the config'
        )
    selected, keep = batched_nms(
        found.bboxes, found.scores, found.labels, cfg.nms
    )
    most = cfg.get('max_per_img', -1)
    if most > 0:
        selected, keep = selected[:most], keep[:most]
    found = found[keep]
    # Soft-NMS lowers scores.
    found.bboxes, found.scores = selected[:, :4], selected[:, 4]
    return found


def _unflipped(found: InstanceData, frame: Frame) -> InstanceData:
    result = InstanceData(
        bboxes=frame.move(found.bboxes, frame._replace(flip=None)),
        scores=found.scores,
        labels=found.labels,
    )
    if 'masks' in found:
        result.masks = frame.unflip(torch.as_tensor(found.masks))
    return result
