"""Read what a COCO evaluation compares, and refuse what would mislead it."""

import math
import os
from collections.abc import Sequence
from typing import Any

from pycocotools import mask as coco_mask

from ..analysis.coco_files import CocoAnnotations, CocoResults, read_results
from ..datasets.coco_check import read_coco
from ..datasets.coco_segmentation import segmentation_problem
from ..errors import UserValueError

IOU_TYPES = ('bbox', 'segm')


def read_pair(
    ann_file: str | os.PathLike,
    results_file: str | os.PathLike,
    iou_type: str,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Read an annotation file and the results that belong to it.

    Returns:
        The annotation file's content, every annotation with ``iscrowd``; and
        the results, reduced to what the evaluation is of: boxes (those of the
        masks where there are masks alone) or masks, as run lengths.

    Raises:
        ValueError: names the file, the entry, what was found there and what
            was expected.
    """
    content = read_coco(ann_file)
    images = _by_id(ann_file, 'images', content['images'])
    categories = _by_id(ann_file, 'categories', content['categories'])
    _by_id(ann_file, 'annotations', content['annotations'])
    for number, entry in enumerate(content['annotations']):
        problem = (
            _unknown(entry, 'image_id', images)
            or _unknown(entry, 'category_id', categories)
            or _measure_problem(entry)
            or _mask_problem(entry, images, iou_type)
        )
        if problem:
            raise UserValueError(
                f'{ann_file}: annotations[{number}] (id {entry["id"]}): '
                f'{problem}'
            )
        entry.setdefault('iscrowd', 0)
    entries = read_results(results_file)
    try:
        CocoResults(entries, CocoAnnotations(ann_file))
        entries = [
            _reduced(number, entry, images, iou_type)
            for number, entry in enumerate(entries)
        ]
    except ValueError as error:
        raise UserValueError(f'{results_file}: {error}') from None
    return content, entries


def _by_id(
    path: str | os.PathLike, name: str, entries: list[dict]
) -> dict[int, dict]:
    known = {}
    for number, entry in enumerate(entries):
        where = f'{path}: {name}[{number}]'
        value = entry.get('id')
        if not isinstance(value, int):
            raise UserValueError(
                f'{where}: id is {value!r}, expected an integer'
            )
        if value in known:
            raise UserValueError(
                f'{where}: the id {value} occurs a second time, expected ids '
                'that occur once; number them anew'
            )
        # The evaluation marks an object that nothing matched by a 0.
        if name == 'annotations' and value == 0:
            raise UserValueError(
                f'{where}: id is 0, which the evaluation takes for "no '
                'object", so that it would never count as found; number the '
                'annotations from 1'
            )
        known[value] = entry
    return known


def _unknown(entry: dict, key: str, known: dict[int, dict]) -> str:
    value = entry.get(key)
    if isinstance(value, int) and value in known:
        return ''
    return f'{key} is {value!r}, which the file does not declare'


def _measure_problem(entry: dict) -> str:
    if not _are_numbers(entry.get('bbox'), 4):
        return (
            f'bbox is {entry.get("bbox")!r}, expected four numbers: x, y, '
            'width, height'
        )
    if not _are_numbers([entry.get('area')], 1):
        return (
            f'area is {entry.get("area")!r}, expected a number: it tells '
            'small objects from large ones'
        )
    return ''


def _mask_problem(entry: dict, images: dict[int, dict], iou_type: str) -> str:
    if iou_type != 'segm':
        return ''
    if not entry.get('segmentation'):
        return (
            'has no segmentation, which the evaluation of masks compares; '
            'add it, or evaluate boxes (bbox)'
        )
    return segmentation_problem(entry, images[entry['image_id']], False)


def _reduced(
    number: int, entry: dict, images: dict[int, dict], iou_type: str
) -> dict[str, Any]:
    where = f'Result number {number}'
    if not _are_numbers([entry['score']], 1):
        raise UserValueError(
            f'{where}: score is {entry["score"]!r}, expected a number'
        )
    keys = ('image_id', 'category_id', 'score')
    reduced = {key: entry[key] for key in keys}
    if iou_type == 'bbox' and 'bbox' in entry:
        if not _are_numbers(entry['bbox'], 4):
            raise UserValueError(
                f'{where}: bbox is {entry["bbox"]!r}, expected four numbers: '
                'x, y, width, height'
            )
        return {**reduced, 'bbox': entry['bbox']}
    image = images[entry['image_id']]
    problem = _mask_problem(entry, images, 'segm')
    if problem:
        raise UserValueError(f'{where}: {problem}')
    mask, size = entry['segmentation'], (image['height'], image['width'])
    if isinstance(mask, list):
        mask = coco_mask.merge(coco_mask.frPyObjects(mask, *size))
    elif isinstance(mask['counts'], list):
        mask = coco_mask.frPyObjects(mask, *size)
    if iou_type == 'bbox':
        return {**reduced, 'bbox': coco_mask.toBbox(mask).tolist()}
    return {**reduced, 'segmentation': mask}


def _are_numbers(values: Any, count: int) -> bool:
    return (
        isinstance(values, Sequence)
        and len(values) == count
        and all(
            isinstance(value, int | float) and math.isfinite(value)
            for value in values
        )
    )
