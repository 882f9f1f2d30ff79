"""Feed the objects of a validation set back as detections.

The AP of such perfect detections is 1.0, unless the data set, its files and
the evaluator do not understand each other, as with masks of another size.
"""

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from mmdet.datasets.transforms import LoadAnnotations
from mmdet.evaluation import CocoMetric
from mmdet.structures import DetDataSample
from mmdet.structures.mask import encode_mask_results
from mmengine.evaluator import Evaluator
from mmengine.structures import InstanceData
from pycocotools import mask as coco_mask

from ..arguments import explained
from ..datasets.checked_pipelines import NOT_PASSING, naming
from ..datasets.pipelines import image_path, tracked
from ..errors import UserError
from ..messages import one_line
from .coco_input import IOU_TYPES

#: the number of detections of a class in an image that COCO's AP counts
MOST = 100
# Masks are made for so many objects at a time, because they are large.
_AT_ONCE = 50


@dataclass
class PerfectScore:
    """The AP of perfect detections.

    Attributes:
        ap: the AP over all classes, or -1 if there are no objects.
        classes: the AP of each class if all its detections count; nan for a
            class without objects.
        crowded: the number of images with more than 100 objects of a class,
            of which ``ap`` counts 100.
    """

    ap: float
    classes: dict[str, float]
    crowded: int

    def missed(self) -> dict[str, float]:
        """Give the classes whose objects are not all found."""
        return {name: ap for name, ap in self.classes.items() if ap < 1}


def score_perfect(
    dataset: Any, evaluator: Evaluator
) -> tuple[dict[str, PerfectScore], list[str]]:
    """Feed a data set's objects to its evaluator, as a model's results.

    Every image goes through the pipeline, which tells in which size a model
    would see it.

    Args:
        dataset: the data set to evaluate on, built.
        evaluator: its evaluator. Metrics other than COCO's are not asked.

    Returns:
        The score of each of ``bbox`` and ``segm`` that the evaluator
        computes, and a sentence for each image that does not pass the
        pipeline, and for an evaluation that fails.
    """
    metrics = [m for m in evaluator.metrics if isinstance(m, CocoMetric)]
    kinds = {kind: m for m in metrics for kind in m.metrics}
    evaluator.metrics = metrics
    evaluator.dataset_meta = dataset.metainfo
    loader = LoadAnnotations(with_bbox=True, with_mask='segm' in kinds)
    problems: list[str] = []
    objects: list[Counter[int]] = []  # of each image, by label
    for index in tracked(len(dataset), 'val'):
        try:
            with naming(image_path(dataset, index), NOT_PASSING):
                sample = dataset[index]['data_samples']
                info = dataset.get_data_info(index)
                found = perfect_detections(info, sample, loader)
                sample.pred_instances = found
                evaluator.process([sample])
        except UserError as error:
            problems.append(one_line(error))
        else:
            objects.append(Counter(found.labels.tolist()))
    scores = {}
    for kind in IOU_TYPES:
        if kind in kinds and not problems:
            try:
                with explained(f'the evaluation ({kind}) fails'):
                    score = _score(kinds[kind], kind, objects)
            except UserError as error:
                problems.append(one_line(error))
            else:
                scores[kind] = score
    return scores, problems


def perfect_detections(
    info: dict[str, Any], sample: DetDataSample, loader: LoadAnnotations
) -> InstanceData:
    """Make a model's results of one image from its objects.

    Args:
        info: the image and its objects, as the data set describes them.
        sample: the sample that the pipeline made of it.
        loader: loads boxes and perhaps masks.

    Returns:
        ``bboxes`` (n, 4), xyxy in pixels of the original image, ``labels``
        (n,), ``scores`` (n,), and perhaps ``masks``, n run lengths in the
        size of the image file. Crowds are left out, and objects whose mask
        covers no pixel, which are not evaluated.
    """
    objects = [o for o in info['instances'] if not o['ignore_flag']]
    boxes, labels, masks = [torch.zeros(0, 4)], [torch.zeros(0).long()], []
    for start in range(0, len(objects), _AT_ONCE):
        part = objects[start : start + _AT_ONCE]
        loaded = loader(dict(instances=part, ori_shape=sample.ori_shape))
        boxes.append(loaded['gt_bboxes'].tensor)
        labels.append(torch.from_numpy(loaded['gt_bboxes_labels']))
        if loader.with_mask:
            masks += encode_mask_results(loaded['gt_masks'].masks)
    found = InstanceData(bboxes=torch.cat(boxes), labels=torch.cat(labels))
    # A model finds boxes in the image that it is fed, and scales them back.
    scale = found.bboxes.new_tensor(sample.get('scale_factor', (1, 1)))
    found.bboxes = found.bboxes * scale.repeat(2) / scale.repeat(2)
    found.scores = torch.ones(len(found.bboxes))
    if loader.with_mask:
        found.masks = masks
        areas = [int(coco_mask.area(mask)) for mask in masks]
        found = found[torch.tensor(areas, dtype=torch.long) > 0]
    return found


def _score(
    metric: CocoMetric, kind: str, objects: list[Counter[int]]
) -> PerfectScore:
    """Evaluate what the metric has collected.

    Args:
        metric: the metric.
        kind: ``bbox`` or ``segm``.
        objects: the number of detections of each label in each image.
    """
    metric.metrics, metric.metric_items = [kind], ['mAP']
    metric.classwise = True  # the mean over 80 classes hides a missed object
    largest = [max(numbers.values(), default=0) for numbers in objects]
    # mmdet takes the last number for the classes, and 100 for their mean.
    metric.proposal_nums = [1, MOST, max(MOST + 1, *largest)]
    figures = metric.compute_metrics(metric.results)
    return PerfectScore(
        ap=figures.get(f'{kind}_mAP', -1.0),
        classes={
            name: float(figures.get(f'{name}_precision', math.nan))
            for name in metric.dataset_meta['classes']
        },
        crowded=sum(number > MOST for number in largest),
    )
