"""AP of resampled images: how far it depends on which images were there."""

import os
from dataclasses import dataclass

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from ..datasets.annotations import index
from ..quiet import quiet_output
from .coco_input import read_pair

_MAX_DETS = 100  # COCO's AP counts so many detections of an image
_RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class Matches:
    """The detections of one class, the highest score first.

    Attributes:
        images: the place of each detection's image, of shape (D,).
        found: whether each detection matches an object at each of ten IoUs,
            of shape (10, D).
        counted: whether it counts at all, of shape (10, D).
        objects: the number of objects in each image, of shape (I,).
    """

    images: np.ndarray
    found: np.ndarray
    counted: np.ndarray
    objects: np.ndarray


def find_matches(
    ann_file: str | os.PathLike,
    results_file: str | os.PathLike,
    iou_type: str = 'bbox',
) -> list[Matches]:
    """Match the detections of a results file with the objects.

    Args:
        ann_file: the annotation file in COCO format.
        results_file: the detections in COCO's results format.
        iou_type: ``bbox`` or ``segm``.

    Returns:
        The matches of each class that has objects, in the order of the ids.

    Raises:
        ValueError: a file or one of its entries is wrong.
    """
    content, entries = read_pair(ann_file, results_file, iou_type)
    with quiet_output():
        truth = index(COCO, content)
        if entries:
            found = truth.loadRes(entries)
        else:
            found = index(COCO, {**content, 'annotations': []})
        evaluation = COCOeval(truth, found, iou_type)
        evaluation.params.maxDets = [_MAX_DETS]
        evaluation.params.areaRng = evaluation.params.areaRng[:1]
        evaluation.params.areaRngLbl = evaluation.params.areaRngLbl[:1]
        evaluation.evaluate()
    number = len(evaluation.params.imgIds)
    per_class = [
        evaluation.evalImgs[first : first + number]
        for first in range(0, len(evaluation.evalImgs), number)
    ]
    joined = map(_joined, per_class)
    return [one for one in joined if one.objects.any()]


def _joined(images: list[dict | None]) -> Matches:
    objects = np.array(
        [
            0 if one is None else int((one['gtIgnore'] == 0).sum())
            for one in images
        ]
    )
    some = [(i, one) for i, one in enumerate(images) if one is not None]
    scores = np.concatenate([one['dtScores'] for _, one in some] or [[]])
    order = np.argsort(-scores, kind='mergesort')  # as COCO does
    places = np.repeat(
        [i for i, _ in some], [len(one['dtScores']) for _, one in some]
    ).astype(int)
    tens = np.zeros((10, 0), bool)
    found = np.hstack([tens, *(one['dtMatches'] > 0 for _, one in some)])
    ignored = np.hstack([tens, *(one['dtIgnore'] > 0 for _, one in some)])
    return Matches(places[order], found[:, order], ~ignored[:, order], objects)


def resampled_ap(matches: list[Matches], times: np.ndarray) -> np.ndarray:
    """Compute COCO's AP as if each image were there several times.

    Args:
        matches: what ``find_matches`` gives.
        times: how often each image is there, of shape (samples, images).

    Returns:
        The AP of each sample; nan if a sample has no object.
    """
    return np.array([_ap(matches, sample) for sample in times])


def _ap(matches: list[Matches], times: np.ndarray) -> float:
    values = []
    for one in matches:
        objects = times @ one.objects
        if not objects:
            continue
        weight = one.counted * times[one.images]
        hits = np.cumsum(weight * one.found, axis=1)
        precision = hits / np.maximum(np.cumsum(weight, axis=1), 1e-9)
        # The best precision at this recall or a higher one.
        precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        precision = np.pad(precision, ((0, 0), (0, 1)))  # 0 beyond the last
        recall = hits / objects
        values += [
            p[np.searchsorted(r, _RECALLS)].mean()
            for p, r in zip(precision, recall, strict=True)
        ]
    return float(np.mean(values)) if values else float('nan')


def draw_samples(images: int, samples: int) -> np.ndarray:
    """Draw images with replacement, the same ones each time.

    Returns:
        How often each image is in each sample, of shape (samples, images).
    """
    generator = np.random.default_rng(0)
    return generator.multinomial(images, [1 / images] * images, samples)
