"""The time that evaluating takes: masks become run lengths, then COCO's AP."""

from typing import Any

import torch
from mmdet.evaluation import CocoMetric
from mmdet.structures.mask import encode_mask_results

from ...quiet import quiet_log, quiet_output
from ..complexity.latency import detect
from ..complexity.timing import timed
from .candidates import Candidate


def evaluation_seconds(candidate: Candidate) -> float:
    """Time the evaluation of a batch, against its own detections.

    What is detected stands for the ground truth, so that everything that an
    evaluation does is done; nothing is where nothing is detected.
    """
    samples = detect(candidate.detector, candidate.data)
    masks = all('masks' in sample.pred_instances for sample in samples)
    found = [_as_metric_takes(k, s, masks) for k, s in enumerate(samples)]
    labels = [one['bbox_label'] for s in found for one in s['instances']]
    if not labels:
        return 0.0

    def evaluate() -> None:
        metric = CocoMetric(metric=['bbox', 'segm'] if masks else 'bbox')
        names = [str(label) for label in range(max(labels) + 1)]
        metric.dataset_meta = dict(classes=names)
        metric.process({}, found)
        metric.evaluate(len(found))

    with quiet_output(), quiet_log('ERROR'):
        return timed(evaluate, torch.device('cpu'), candidate.setting.clock)


def _as_metric_takes(k: int, sample: Any, masks: bool) -> dict[str, Any]:
    """Turn a detected sample into what mmdet's metric takes, and its truth."""
    found = sample.cpu().pred_instances
    instances = [
        dict(bbox=box, bbox_label=int(label))
        for box, label in zip(found.bboxes.tolist(), found.labels, strict=True)
    ]
    if masks:
        coded = encode_mask_results(found.masks.numpy())
        for one, mask in zip(instances, coded, strict=True):
            one['mask'] = mask
    return dict(
        img_id=k,
        ori_shape=sample.ori_shape,
        instances=instances,
        pred_instances=found.to_dict(),
    )
