"""Read detections in COCO's results format."""

import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..errors import UserValueError
from .annotations import (
    CocoAnnotations,
    Instance,
    is_list_of_dicts,
    read_json,
    to_instance,
)
from .coco_entries import box_problem, number_problem


class CocoResults:
    """Detections in COCO's results format.

    Args:
        entries: the detections, dicts of image_id, category_id, score, and
            bbox (xywh) or segmentation (RLE) or both.
        annotations: the annotations that the detections belong to.

    Raises:
        ValueError: an entry lacks a key, or a value is wrong or unknown.
    """

    def __init__(
        self, entries: Iterable[dict], annotations: CocoAnnotations
    ) -> None:
        self._images = annotations.images
        self._by_image: dict[int, list[dict]] = defaultdict(list)
        for number, entry in enumerate(entries):
            problem = _result_problem(entry, annotations)
            if problem:
                raise UserValueError(f'Result number {number} {problem}')
            self._by_image[entry['image_id']].append(entry)

    def instances(self, image_id: int, score_thr: float) -> list[Instance]:
        """Return an image's detections with at least a score, best first."""
        found = self._by_image.get(image_id, [])
        return [
            to_instance(entry, self._images[image_id])
            for entry in sorted(found, key=lambda entry: -entry['score'])
            if entry['score'] >= score_thr
        ]


def _result_problem(entry: Any, annotations: CocoAnnotations) -> str:
    if not isinstance(entry, dict):
        return f'is {entry!r}, expected a dict'
    for key in ('image_id', 'category_id', 'score'):
        if key not in entry:
            return f'has no {key}'
    if 'bbox' not in entry and 'segmentation' not in entry:
        return 'has no bbox and no segmentation'
    for key, known in (
        ('image_id', annotations.images),
        ('category_id', annotations.categories),
    ):
        if not isinstance(entry[key], int | str) or entry[key] not in known:
            return (
                f'has {key} {entry[key]!r}, unknown to {annotations.path}: '
                'do they belong together?'
            )
    wrong = number_problem(entry, 'score', 'expected a number')
    if not wrong and (entry.get('bbox') or 'segmentation' not in entry):
        wrong = box_problem(entry)
    return f'is wrong: {wrong}' if wrong else ''


def read_results(
    bbox_file: str | os.PathLike | None = None,
    segm_file: str | os.PathLike | None = None,
) -> list[dict[str, Any]]:
    """Read the results files of one evaluation.

    mmdet's ``CocoMetric`` writes them as ``<outfile_prefix>.bbox.json`` and
    ``<outfile_prefix>.segm.json``, with the same detections in both.

    Args:
        bbox_file: the file of boxes and scores.
        segm_file: the file of masks; without a file of boxes, the masks give
            the boxes.

    Returns:
        One dict for each detection, in COCO's results format.

    Raises:
        ValueError: neither file is given, one is missing or is not a
            results file, or the two contain different detections.
    """
    files = [file for file in (bbox_file, segm_file) if file is not None]
    if not files:
        raise UserValueError('Give bbox_file, segm_file or both, got neither')
    boxes, *rest = (_read_list(Path(file)) for file in files)
    for masks in rest:
        if list(map(_ids, boxes)) != list(map(_ids, masks)):
            raise UserValueError(
                f'{bbox_file} and {segm_file} list different detections: '
                'take both from the same run, or give only one'
            )
        # The box's score ranks a detection; masks may have another one.
        boxes = [{**m, **b} for b, m in zip(boxes, masks, strict=True)]
    return boxes


def _ids(entry: dict[str, Any]) -> tuple:
    return entry.get('image_id'), entry.get('category_id')


def _read_list(path: Path) -> list[dict[str, Any]]:
    content = read_json(path, 'results')
    if not is_list_of_dicts(content):
        raise UserValueError(
            f'{path}: contains a {type(content).__name__}, expected a list '
            'of dicts as in COCO results files (a dict is an annotation file)'
        )
    return content
