"""Evaluate a results file: COCO's 12 figures, mmdet's, and each class's."""

import os
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from pycocotools.cocoeval import COCOeval

from ..errors import UserValueError
from ..quiet import quiet_output
from .coco_backends import (
    FASTEST,
    PYCOCOTOOLS,
    fastest_backend,
    load_backend,
    report_refusal,
    run,
)
from .coco_input import IOU_TYPES, read_pair

#: the numbers of detections per image in COCO's own figures, and in mmdet's
COCO_MAX_DETS = (1, 10, 100)
MMDET_MAX_DETS = (100, 300, 1000)
# Detections are matched in the order of their scores, so that a run with more
# detections per image contains the runs with fewer: one run serves all.
_MAX_DETS = sorted({*COCO_MAX_DETS, *MMDET_MAX_DETS})
#: the names of COCO's 12 figures in mmdet's ``CocoMetric``, in the order of
#: ``COCOeval.stats``
MMDET_NAMES = (
    'mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l',
    'AR@100', 'AR@300', 'AR@1000', 'AR_s@1000', 'AR_m@1000', 'AR_l@1000',
)  # fmt: skip
#: the index of the IoU (0.5 to 0.95 in steps of 0.05) and of the area (all,
#: small, medium, large) of the figures of each class
CLASS_FIGURES: dict[str, tuple[int | slice, int]] = {
    'AP': (slice(None), 0),
    'AP50': (0, 0),
    'AP75': (5, 0),
    'APs': (slice(None), 1),
    'APm': (slice(None), 2),
    'APl': (slice(None), 3),
}


@dataclass
class CocoFigures:
    """The figures of an evaluation; -1 stands for "nothing to measure".

    Attributes:
        annotations: the annotation file.
        results: the results file.
        iou_type: ``bbox`` or ``segm``.
        backend: the package that computed the figures.
        images: the number of images, including those without an object.
        detections: the number of entries of the results file.
        stats: COCO's 12 figures in the order of ``COCOeval.stats``, for at
            most 100 detections per image.
        mmdet: the same for at most 1000 detections (mAP: 100), under mmdet's
            names and not rounded.
        classwise: for each category its id, its name, the number of objects
            (without crowds), and AP, AP50, AP75, APs, APm, APl.
        table: the table of ``stats`` that COCO prints.
    """

    annotations: str
    results: str
    iou_type: str
    backend: str
    images: int
    detections: int
    stats: list[float]
    mmdet: dict[str, float]
    classwise: list[dict[str, Any]]
    table: str

    def as_json(self) -> dict[str, Any]:
        """Give everything except the table, which repeats ``stats``."""
        content = asdict(self)
        del content['table']
        return content


def evaluate(
    ann_file: str | os.PathLike,
    results_file: str | os.PathLike,
    iou_type: str = 'bbox',
    backend: str = FASTEST,
) -> CocoFigures:
    """Evaluate a results file against an annotation file.

    Args:
        ann_file: the annotation file in COCO format.
        results_file: the detections in COCO's results format, for instance
            from mmdet's ``CocoMetric`` with ``outfile_prefix``.
        iou_type: ``bbox`` to compare boxes, ``segm`` to compare masks. The
            size class of a mask depends on the mask's own area, as in mmdet,
            even if the results contain boxes as well.
        backend: one of ``cbnet.evaluation.coco_backends.BACKENDS``, all of
            which give the same figures, or ``fastest``: the fastest one that
            is installed.

    Raises:
        ValueError: a file or one of its entries is wrong, an argument is
            unknown, or the package of the backend is missing.
    """
    if iou_type not in IOU_TYPES:
        raise UserValueError(
            f'iou_type is {iou_type!r}, expected {" or ".join(IOU_TYPES)}'
        )
    asked = backend
    if backend == FASTEST:
        backend = fastest_backend()
    loaded = load_backend(backend)
    content, entries = read_pair(ann_file, results_file, iou_type)
    images, detections = len(content['images']), len(entries)
    given = content, entries, iou_type, dict(maxDets=_MAX_DETS)
    try:
        precision, recall = run(loaded, *given)
    except Exception as error:
        if asked != FASTEST or backend == PYCOCOTOOLS:
            raise
        report_refusal(backend, error)
        backend = PYCOCOTOOLS
        precision, recall = run(load_backend(backend), *given)
    stats, table = _summarize(precision, recall, iou_type, COCO_MAX_DETS)
    mmdet, _ = _summarize(precision, recall, iou_type, MMDET_MAX_DETS)
    names = (f'{iou_type}_{name}' for name in MMDET_NAMES)
    at_most_100 = precision[..., _MAX_DETS.index(COCO_MAX_DETS[-1])]
    return CocoFigures(
        annotations=str(ann_file),
        results=str(results_file),
        iou_type=iou_type,
        backend=backend,
        images=images,
        detections=detections,
        stats=stats,
        mmdet=dict(zip(names, mmdet, strict=True)),
        classwise=_classwise(at_most_100, content),
        table=table,
    )


def _summarize(
    precision: np.ndarray,
    recall: np.ndarray,
    iou_type: str,
    max_dets: tuple[int, ...],
) -> tuple[list[float], str]:
    """Let pycocotools name and average the figures of any backend."""
    places = [_MAX_DETS.index(number) for number in max_dets]
    evaluator = COCOeval(iouType=iou_type)
    evaluator.params.maxDets = list(max_dets)
    evaluator.eval = dict(
        precision=precision[..., places], recall=recall[..., places]
    )
    with quiet_output() as printed:
        evaluator.summarize()
    return evaluator.stats.tolist(), printed.getvalue()


def _classwise(precision: np.ndarray, content: dict) -> list[dict[str, Any]]:
    """Average the precisions (IoUs, recalls, classes, areas) of each class."""
    objects = Counter(
        annotation['category_id']
        for annotation in content['annotations']
        if not annotation['iscrowd']
    )
    names = {c['id']: c['name'] for c in content['categories']}
    rows = []
    for place, key in enumerate(sorted(names)):
        row = dict(id=key, name=names[key], objects=objects[key])
        for name, (iou, area) in CLASS_FIGURES.items():
            values = precision[iou, ..., place, area]
            values = values[values > -1]
            row[name] = float(values.mean()) if values.size else -1.0
        rows.append(row)
    return rows
