"""COCO's figures for a results file, from either of two packages."""

import contextlib
import io
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from pycocotools.cocoeval import COCOeval

from ..errors import UserValueError
from .coco_backends import BACKENDS
from .coco_input import IOU_TYPES, read_pair

#: Detections an image that COCO's own figures look at, and mmdet's.
COCO_MAX_DETS = (1, 10, 100)
MMDET_MAX_DETS = (100, 300, 1000)
#: Names that mmdet's ``CocoMetric`` gives to COCO's 12 figures, whose order
#: is that of ``COCOeval.stats``.
MMDET_NAMES = (
    'mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l',
    'AR@100', 'AR@300', 'AR@1000', 'AR_s@1000', 'AR_m@1000', 'AR_l@1000',
)  # fmt: skip


@dataclass
class CocoFigures:
    """What an evaluation found; -1 stands for "nothing to measure".

    Attributes:
        annotations: The annotation file.
        results: The results file.
        iou_type: ``bbox`` or ``segm``.
        backend: What computed it.
        images: Images evaluated, those without any object among them.
        detections: Entries of the results file.
        stats: COCO's 12 figures in the order of ``COCOeval.stats``, at most
            100 detections an image.
        mmdet: The same of at most 1000, under mmdet's names, not rounded.
            ``mAP`` is of 100 here as well, as in mmdet.
        classwise: For each category id, name, the annotated objects that
            are no crowds, and AP, AP50, AP75, APs, APm, APl like ``stats``.
        table: COCO's table of ``stats``.
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
        """Everything but the table, which repeats ``stats``."""
        content = asdict(self)
        del content['table']
        return content


def evaluate(
    ann_file: str | os.PathLike,
    results_file: str | os.PathLike,
    iou_type: str = 'bbox',
    backend: str = 'pycocotools',
) -> CocoFigures:
    """Evaluate a results file against an annotation file.

    Args:
        ann_file: COCO annotations.
        results_file: Detections in COCO's results format, such as mmdet's
            ``CocoMetric`` writes with ``outfile_prefix``.
        iou_type: ``bbox`` compares boxes, ``segm`` masks.  Masks are then
            told small from large by their own area, as in mmdet, even where
            the results hold boxes as well.
        backend: A key of ``cbnet.evaluation.coco_backends.BACKENDS``.

    Raises:
        ValueError: A file or an entry of it is wrong, an argument is none
            that is known, or the package of the backend is missing.
    """
    if iou_type not in IOU_TYPES:
        raise UserValueError(f'iou_type is {iou_type!r}, expected {IOU_TYPES}')
    if backend not in BACKENDS:
        raise UserValueError(
            f'backend is {backend!r}, expected {list(BACKENDS)}'
        )
    run = BACKENDS[backend]()
    content, entries = read_pair(ann_file, results_file, iou_type)
    # Matching goes by score, so that fewer detections are the first ones of
    # more: one run of the largest number serves all.
    max_dets = sorted({*COCO_MAX_DETS, *MMDET_MAX_DETS})
    precision, recall = run(content, entries, iou_type, max_dets)
    summarize = _summarizer(precision, recall, iou_type, max_dets)
    stats, table = summarize(COCO_MAX_DETS)
    figures, _ = summarize(MMDET_MAX_DETS)
    names = (f'{iou_type}_{name}' for name in MMDET_NAMES)
    at_100 = precision[..., max_dets.index(COCO_MAX_DETS[-1])]
    return CocoFigures(
        annotations=str(ann_file),
        results=str(results_file),
        iou_type=iou_type,
        backend=backend,
        images=len(content['images']),
        detections=len(entries),
        stats=stats,
        mmdet=dict(zip(names, figures, strict=True)),
        classwise=_classwise(at_100, content),
        table=table,
    )


def _summarizer(
    precision: np.ndarray,
    recall: np.ndarray,
    iou_type: str,
    max_dets: list[int],
) -> Callable[[tuple[int, ...]], tuple[list[float], str]]:
    """Let pycocotools name and average the figures of any backend."""

    def summarize(wanted: tuple[int, ...]) -> tuple[list[float], str]:
        places = [max_dets.index(number) for number in wanted]
        evaluator = COCOeval(iouType=iou_type)
        evaluator.params.maxDets = list(wanted)
        evaluator.eval = dict(
            precision=precision[..., places], recall=recall[..., places]
        )
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            evaluator.summarize()
        return evaluator.stats.tolist(), printed.getvalue()

    return summarize


def _classwise(precision: np.ndarray, content: dict) -> list[dict[str, Any]]:
    """Average the precisions of each class.

    Args:
        precision: of shape (IoUs, recalls, classes, areas).
        content: the annotation file.
    """
    objects = [
        annotation['category_id']
        for annotation in content['annotations']
        if not annotation['iscrowd']
    ]
    # IoUs start at 0.5 in steps of 0.05; areas are all, small, medium, large.
    parts = dict(
        AP=(slice(None), 0), AP50=(0, 0), AP75=(5, 0),
        APs=(slice(None), 1), APm=(slice(None), 2), APl=(slice(None), 3),
    )  # fmt: skip
    names = {c['id']: c['name'] for c in content['categories']}
    rows = []
    for place, category in enumerate(sorted(names)):
        row = dict(
            id=category, name=names[category], objects=objects.count(category)
        )
        for name, (iou, area) in parts.items():
            values = precision[iou, ..., place, area]
            values = values[values > -1]
            row[name] = float(values.mean()) if values.size else -1.0
        rows.append(row)
    return rows
