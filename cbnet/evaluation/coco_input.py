"""Read what a COCO evaluation compares, and refuse what would mislead it."""

import os
from collections.abc import Iterator
from typing import Any

from pycocotools import mask as coco_mask

from ..datasets.annotations import CocoAnnotations, read_coco
from ..datasets.coco_check import (
    annotation_problem,
    by_id,
    entries,
    id_problems,
)
from ..datasets.coco_entries import mask_problem, to_rle
from ..datasets.results import CocoResults, read_results
from ..errors import UserValueError

IOU_TYPES = ('bbox', 'segm')
_NO_MASK = (
    'has no segmentation, which the evaluation of masks compares; add it, or '
    'evaluate boxes (bbox)'
)


def read_pair(
    ann_file: str | os.PathLike,
    results_file: str | os.PathLike,
    iou_type: str,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Read an annotation file and the results that belong to it.

    Returns:
        The content of the annotation file, every annotation with
        ``iscrowd``; and the results with only what is evaluated: masks as
        run lengths, or boxes (computed from the masks if there are none).
        Both may be changed.

    Raises:
        ValueError: names the file, the entry, what was found and what was
            expected.
    """
    content = read_coco(ann_file)
    for problem in _problems(content, iou_type):
        raise UserValueError(f'{ann_file}: {problem}')
    content = dict(
        content,
        annotations=[dict(iscrowd=0) | a for a in content['annotations']],
    )
    results = read_results(results_file)
    try:
        CocoResults(results, CocoAnnotations(ann_file, content))
    except ValueError as error:
        raise UserValueError(f'{results_file}: {error}') from None
    images, found = by_id(content, 'images'), []
    for number, entry in enumerate(results):
        try:
            found.append(_reduced(entry, images[entry['image_id']], iou_type))
        except ValueError as error:
            raise UserValueError(
                f'{results_file}: Result number {number}: {error}'
            ) from None
    return content, found


def _problems(content: dict[str, Any], iou_type: str) -> Iterator[str]:
    yield from id_problems(content, only_integers=True)
    images, categories = by_id(content, 'images'), by_id(content, 'categories')
    for where, entry in entries(content, 'annotations'):
        problem = annotation_problem(entry, images, categories)
        if entry['id'] == 0:
            # The evaluation marks an object that nothing matched by a 0.
            problem = (
                'the evaluation takes the id 0 for "no object", so that this '
                'object would never count as found; number the annotations '
                'from 1'
            )
        elif not problem and iou_type == 'segm':
            problem = mask_problem(entry, images[entry['image_id']])
            if not entry.get('segmentation'):
                problem = _NO_MASK
        if problem:
            yield f'{where}: {problem}'


def _reduced(
    entry: dict[str, Any], image: dict[str, Any], iou_type: str
) -> dict[str, Any]:
    reduced = {k: entry[k] for k in ('image_id', 'category_id', 'score')}
    if iou_type == 'bbox' and entry.get('bbox'):
        return {**reduced, 'bbox': entry['bbox']}
    mask = to_rle(entry, image)
    if mask is None:
        raise UserValueError(_NO_MASK)
    if iou_type == 'bbox':
        return {**reduced, 'bbox': coco_mask.toBbox(mask).tolist()}
    return {**reduced, 'segmentation': mask}
