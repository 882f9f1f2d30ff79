"""Read the two files of a COCO evaluation and refuse misleading entries."""

import os
from itertools import chain
from typing import Any

from pycocotools import mask as coco_mask

from ..datasets.annotations import CocoAnnotations, read_coco
from ..datasets.coco_check import annotation_problems
from ..datasets.coco_entries import Rule, wrong_entries
from ..datasets.coco_lists import repeated_ids
from ..datasets.coco_masks import mask_problem, to_rle
from ..datasets.results import CocoResults, read_results
from ..errors import UserValueError

IOU_TYPES = ('bbox', 'segm')
_NO_MASK = (
    'has no segmentation, which the evaluation of masks compares; add it, or '
    'evaluate boxes (bbox)'
)
_IDS = {
    'id': (lambda key: isinstance(key, int), 'an integer; number the entries')
}
_ANNOTATION_ID: Rule = (
    lambda key: isinstance(key, int) and key != 0,
    'an integer from 1: the evaluation takes the id 0 for "no object", so '
    'that this object would never count as found',
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
    masks = iou_type == 'segm'
    checks = [_no_mask_problem] if masks else []
    for problem in chain(
        wrong_entries('images', content['images'], _IDS),
        wrong_entries('categories', content['categories'], _IDS),
        annotation_problems(content, _ANNOTATION_ID, checks),
        repeated_ids(content),
    ):
        raise UserValueError(f'{ann_file}: {problem}')
    content = dict(
        content,
        annotations=[dict(iscrowd=0) | a for a in content['annotations']],
    )
    results = read_results(results_file)
    annotations = CocoAnnotations(ann_file, content)
    check = _no_mask_problem if masks else _no_box_problem
    try:
        CocoResults(results, annotations, [check])
    except ValueError as error:
        raise UserValueError(f'{results_file}: {error}') from None
    return content, [
        _reduced(entry, annotations.images[entry['image_id']], iou_type)
        for entry in results
    ]


def _no_mask_problem(entry: dict[str, Any], image: dict[str, Any]) -> str:
    return mask_problem(entry, image, _NO_MASK)


def _no_box_problem(entry: dict[str, Any], image: dict[str, Any]) -> str:
    return '' if entry.get('bbox') else _no_mask_problem(entry, image)


def _reduced(
    entry: dict[str, Any], image: dict[str, Any], iou_type: str
) -> dict[str, Any]:
    reduced = {k: entry[k] for k in ('image_id', 'category_id', 'score')}
    if iou_type == 'bbox' and entry.get('bbox'):
        return {**reduced, 'bbox': entry['bbox']}
    mask = to_rle(entry, image)
    if iou_type == 'bbox':
        return {**reduced, 'bbox': coco_mask.toBbox(mask).tolist()}
    return {**reduced, 'segmentation': mask}
