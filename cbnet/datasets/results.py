"""Read and check detections in COCO's results format."""

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
from .coco_entries import (
    BOX,
    Check,
    is_number,
    reference_rules,
    rule_problem,
    wrong_entries,
)


class CocoResults:
    """Detections in COCO's results format.

    Args:
        entries: the detections, dicts of image_id, category_id, score, and
            bbox (xywh) or segmentation (RLE) or both.
        annotations: the annotations that the detections belong to.
        checks: further checks of the detections.

    Raises:
        ValueError: an entry lacks a key, or a value is wrong or unknown.
    """

    def __init__(
        self,
        entries: Iterable[dict],
        annotations: CocoAnnotations,
        checks: Iterable[Check] = (),
    ) -> None:
        entries = _checked_list(list(entries), 'results')
        self._images = annotations.images
        advice = f'do the results belong to {annotations.path}?'
        rules = {
            **reference_rules(self._images, annotations.categories, advice),
            'score': (is_number, 'a number'),
        }
        checks = _box_problem, *checks
        for problem in wrong_entries(
            'results', entries, rules, self._images, checks
        ):
            raise UserValueError(problem)
        self._by_image: dict[int, list[dict]] = defaultdict(list)
        for entry in entries:
            self._by_image[entry['image_id']].append(entry)

    def instances(self, image_id: int, score_thr: float) -> list[Instance]:
        """Return an image's detections with at least a score, best first."""
        found = self._by_image.get(image_id, [])
        return [
            to_instance(entry, self._images[image_id])
            for entry in sorted(found, key=lambda entry: -entry['score'])
            if entry['score'] >= score_thr
        ]


def _box_problem(entry: dict[str, Any], _: dict[str, Any]) -> str:
    if 'segmentation' in entry and not entry.get('bbox'):
        return ''  # the mask gives the box
    is_box, expected = BOX
    rule = is_box, f'{expected}, or a segmentation instead'
    return rule_problem(entry, {'bbox': rule})


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
    boxes, *rest = (
        _checked_list(read_json(Path(file), 'results'), file) for file in files
    )
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


def _checked_list(content: Any, source: str | os.PathLike) -> list[dict]:
    if not is_list_of_dicts(content):
        raise UserValueError(
            f'{source}: contains a {type(content).__name__}, expected a list '
            'of dicts as in COCO results files (a dict is an annotation file)'
        )
    return content
