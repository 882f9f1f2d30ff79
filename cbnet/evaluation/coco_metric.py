"""mmdet's COCO metric, for annotation files that pycocotools misreads."""

import logging
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from mmdet.datasets.api_wrappers import COCOevalMP
from mmdet.evaluation import CocoMetric
from mmdet.evaluation.metrics import coco_metric
from mmdet.registry import METRICS
from mmengine.logging import print_log
from torch import Tensor

from ..arguments import validated
from ..compat.mmengine_internals import replace_registered
from ..datasets.annotations import reindex
from ..datasets.areas import find_nothings
from ..errors import UserValueError
from ..messages import number_of
from .coco_backends import (
    BACKENDS,
    FASTEST,
    PYCOCOTOOLS,
    OrderedEvaluation,
    fastest_backend,
    quick_evaluation,
)
from .run_lengths import encode_masks


class OrderedProcesses(OrderedEvaluation, COCOevalMP):
    """mmdet's evaluation in processes (``use_mp_eval``), ordered likewise."""


# A single threshold, which mmdet's annotation allows, stops pycocotools.
@METRICS.register_module()
@validated(
    iou_thrs=Sequence[float] | None, backend=Literal[(FASTEST, *BACKENDS)]
)
class CheckedCocoMetric(CocoMetric):
    """mmdet's ``CocoMetric``, with the same options and figures.

    Masks are evaluated only if the detector gives some and every annotation
    has one; otherwise a line says why they are not.

    An annotation without ``iscrowd`` is a single object; pycocotools stops at
    it.  Annotations may be numbered from 0, which pycocotools takes for "no
    match", so that this object would never count as found.  Objects whose box
    or mask covers no pixel are neither found nor missed, as crowds: no
    detection of them could be right.

    Deviation: objects without pixels.

    Args:
        args, options: those of mmdet's ``CocoMetric``.
        backend: the package that computes the figures, which are the same:
            one of ``cbnet.evaluation.coco_backends.BACKENDS``, or the
            fastest one that is installed.
    """

    def __init__(
        self, *args: Any, backend: str = FASTEST, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        # pycocotools cannot look for 0.5 in a list.
        self.iou_thrs = np.asarray(self.iou_thrs)
        self.backend = fastest_backend() if backend == FASTEST else backend
        self.evaluation = quick_evaluation(self.backend)

    def process(
        self, data_batch: dict, data_samples: Sequence[dict[str, Any]]
    ) -> None:
        """Collect the detections of a batch, see mmdet's ``CocoMetric``."""
        if self._coco_api is None and not all(
            'instances' in sample for sample in data_samples
        ):
            raise UserValueError(
                'CocoMetric has no ann_file, and the samples have no ground '
                'truth; set val_evaluator.ann_file and '
                'test_evaluator.ann_file to the annotation file of the '
                'images'
            )
        super().process(data_batch, [*map(_encoded, data_samples)])

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """Compute COCO's figures from what ``process`` has collected."""
        # A file of test images has none, if results are only written.
        if self._coco_api is not None and not self.format_only:
            self._prepare(self._coco_api.dataset)
        asked = self.metrics
        written = self.format_only or 'segm' not in asked
        if not written and (reason := self._why_no_masks(results)):
            print_log(
                f'CocoMetric: masks are not evaluated, because {reason}; '
                f"metric='bbox' evaluates boxes alone",
                'current',
                logging.WARNING,
            )
            others = [metric for metric in asked if metric != 'segm']
            self.metrics = others or ['bbox']
        # mmdet has no option for the classes that evaluate.
        usual = coco_metric.COCOeval, coco_metric.COCOevalMP
        coco_metric.COCOeval = self.evaluation
        coco_metric.COCOevalMP = OrderedProcesses
        try:
            if self.backend != PYCOCOTOOLS and not self.use_mp_eval:
                print_log(f'COCO evaluation by {self.backend}', 'current')
            return super().compute_metrics(results)
        finally:
            self.metrics = asked
            coco_metric.COCOeval, coco_metric.COCOevalMP = usual

    def _prepare(self, content: dict[str, Any]) -> None:
        """Change the annotations to what pycocotools evaluates rightly."""
        annotations = content['annotations']
        for entry in annotations:
            entry.setdefault('iscrowd', 0)
        for entry in find_nothings(content):
            entry['iscrowd'] = 1
        if any(entry['id'] == 0 for entry in annotations):
            for number, entry in enumerate(annotations, start=1):
                entry['id'] = number
            reindex(self._coco_api)

    def _why_no_masks(self, results: list[Any]) -> str:
        if not any('masks' in found for _, found in results):
            return 'the detector gives none'
        if self._coco_api is None:
            objects = [one for truth, _ in results for one in truth['anns']]
            key = 'mask'
        else:
            objects = self._coco_api.dataset['annotations']
            key = 'segmentation'
        lacking = sum(not one.get(key) for one in objects)
        if not lacking:
            return ''
        return (
            f'{lacking} of {number_of(len(objects), "annotations")} have none'
        )


def _encoded(sample: dict[str, Any]) -> dict[str, Any]:
    """Encode masks on the GPU that they are on; only run lengths leave it."""
    found = sample['pred_instances']
    masks = found.get('masks')
    if not isinstance(masks, Tensor) or not _is_worth_it(masks):
        return sample
    found = dict(found, masks=encode_masks(masks))
    return dict(sample, pred_instances=found)


def _is_worth_it(masks: Tensor) -> bool:
    return masks.device.type != 'cpu' and masks.dtype == torch.bool


def use_checked_metric() -> None:
    """Let every evaluator that is built from now on accept such files."""
    replace_registered(METRICS, 'CocoMetric', CheckedCocoMetric)
