"""The rules for the box and the mask of one annotation or detection.

Each ``..._problem`` returns what is wrong in one sentence, or an empty
string.
"""

import math
from typing import Any

from pycocotools import mask as coco_mask

from ..errors import UserValueError
from ..messages import brief


def is_number(value: Any) -> bool:
    """Tell whether a value is a finite number."""
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
    )


def number_problem(entry: dict[str, Any], key: str, expected: str) -> str:
    """Check that an entry has a finite number under a key."""
    value = entry.get(key)
    return '' if is_number(value) else f'{key} is {value!r}, {expected}'


def box_problem(entry: dict[str, Any]) -> str:
    """Check that an entry has a box."""
    box = entry.get('bbox')
    if (
        isinstance(box, list | tuple)
        and len(box) == 4
        and all(map(is_number, box))
    ):
        return ''
    return f'bbox is {brief(box)}, expected four numbers: x, y, width, height'


def mask_problem(entry: dict[str, Any], image: dict[str, Any]) -> str:
    """Check an entry's segmentation, if any, by the entry of its image."""
    found = entry.get('segmentation')
    if not found:
        return ''
    if isinstance(found, list):
        return _polygon_problem(found)
    if isinstance(found, dict):
        return _rle_problem(found, image)
    return (
        f'segmentation is a {type(found).__name__}, expected a list of '
        'polygons or a dict of size and counts'
    )


def _polygon_problem(polygons: list) -> str:
    for number, polygon in enumerate(polygons):
        where = f'segmentation[{number}]'
        if not isinstance(polygon, list):
            return (
                f'{where} is {brief(polygon)}, expected a list of x, y, x, '
                'y, ... (a polygon is a list inside the list of polygons)'
            )
        if len(polygon) % 2 or len(polygon) < 6:
            return (
                f'{where} has {len(polygon)} numbers, expected an even '
                'number of at least 6 (x and y of each corner); correct or '
                'remove the polygon'
            )
        wrong = [value for value in polygon if not is_number(value)]
        if wrong:
            return f'{where} contains {wrong[0]!r}, expected only numbers'
    return ''


def _rle_problem(rle: dict, image: dict) -> str:
    size, counts = rle.get('size'), rle.get('counts')
    height, width = image.get('height'), image.get('width')
    if not isinstance(size, list | tuple) or [*size] != [height, width]:
        return (
            f'segmentation.size is {size!r}, expected {[height, width]}, '
            f'height and width of {image.get("file_name")}'
        )
    if isinstance(counts, str | bytes) and counts:
        return ''
    if not isinstance(counts, list) or not all(
        isinstance(count, int) and count >= 0 for count in counts
    ):
        return (
            f'segmentation.counts is {brief(counts)}, expected run lengths: '
            'a string or a list of counts'
        )
    if sum(counts) != height * width:
        return (
            f'segmentation.counts add up to {sum(counts)} pixels, expected '
            f'{height * width} (height x width)'
        )
    return ''


def to_rle(
    entry: dict[str, Any], image: dict[str, Any]
) -> dict[str, Any] | None:
    """Convert an entry's polygons or run lengths to pycocotools' RLE.

    Returns:
        Compressed run lengths, or None if the entry has no segmentation.

    Raises:
        ValueError: the segmentation is wrong.
    """
    problem = mask_problem(entry, image)
    if problem:
        raise UserValueError(problem)
    mask = entry.get('segmentation')
    if not mask:
        return None
    size = image['height'], image['width']
    if isinstance(mask, list):
        return coco_mask.merge(coco_mask.frPyObjects(mask, *size))
    if isinstance(mask['counts'], list):
        return coco_mask.frPyObjects(mask, *size)
    return mask
