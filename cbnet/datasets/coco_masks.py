"""The masks of COCO files: polygons and run lengths, plain or compressed.

Each ``..._problem`` describes what is wrong in one sentence; if nothing is,
it returns an empty string.
"""

import math
from typing import Any

from pycocotools import mask as coco_mask

from ..errors import UserValueError
from ..messages import brief
from .coco_entries import NUMBERS, is_number


def mask_problem(
    entry: dict[str, Any], image: dict[str, Any], if_missing: str = ''
) -> str:
    """Check that an entry's segmentation is right and fits its image.

    ``if_missing`` is returned if there is no segmentation.
    """
    mask = entry.get('segmentation')
    if not mask:
        return if_missing
    if isinstance(mask, list):
        problems = (
            _polygon_problem(place, polygon, image)
            for place, polygon in enumerate(mask)
        )
        return next(filter(None, problems), '')
    if isinstance(mask, dict):
        return _rle_problem(mask, image)
    return (
        f'segmentation is a {type(mask).__name__}, expected a list of '
        'polygons or a dict of size and counts'
    )


def _polygon_problem(place: int, polygon: Any, image: dict) -> str:
    where = f'segmentation[{place}]'
    if not isinstance(polygon, list):
        return (
            f'{where} is {brief(polygon)}, expected a list of x, y, x, y, ... '
            '(a polygon is a list inside the list of polygons)'
        )
    if len(polygon) % 2 or len(polygon) < 6:
        return (
            f'{where} has {len(polygon)} numbers, expected an even number of '
            'at least 6 (x and y of each corner); correct or remove the '
            'polygon'
        )
    sides = image.get('width'), image.get('height')
    if _is_plain(polygon, sides):
        return ''
    wrong = [value for value in polygon if not is_number(value)]
    if wrong:
        return f'{where} contains {brief(wrong[0])}, expected only numbers'
    # pycocotools walks along the edges, and takes memory for each pixel.
    for axis, name in enumerate(('width', 'height')):
        far, size = max(polygon[axis::2], key=abs), sides[axis]
        if is_number(size) and abs(far) > 2 * size:
            return (
                f'{where} contains {far:g}, expected pixels inside '
                f'{image.get("file_name")}, whose {name} is {size}; correct '
                f'or remove the polygon'
            )
    return ''


def _is_plain(polygon: list, sides: tuple[Any, Any]) -> bool:
    """Tell quickly that a polygon is right, as almost all are."""
    if not {*map(type, polygon)} <= {*NUMBERS} or not all(
        map(is_number, sides)
    ):
        return False
    most = 2 * min(sides)
    # nan is not found by min and max, but makes the sum nan.
    return -most <= min(polygon) <= max(polygon) <= most and (
        math.isfinite(sum(polygon))
    )


def _rle_problem(rle: dict, image: dict) -> str:
    size, counts = rle.get('size'), rle.get('counts')
    height, width = image.get('height'), image.get('width')
    if not isinstance(size, list | tuple) or [*size] != [height, width]:
        return (
            f'segmentation.size is {size!r}, expected {[height, width]}, the '
            f'height and width of {image.get("file_name")}'
        )
    if isinstance(counts, str | bytes) and counts:
        return _compressed_problem(counts, height * width)
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


def _compressed_problem(counts: str | bytes, pixels: int) -> str:
    """Check compressed run lengths, which pycocotools reads unchecked."""
    if isinstance(counts, str) and counts.startswith(("b'", 'b"')):
        return (
            f'segmentation.counts is {brief(counts)}, the text of Python '
            f"bytes; expected their content: write counts.decode('ascii')"
        )
    found = _run_lengths(counts)
    if found is None or min(found) < 0 or sum(found) != pixels:
        has = 'no run lengths' if found is None else f'{sum(found)} pixels'
        return (
            f'segmentation.counts {brief(counts)} holds {has}, expected '
            f'{pixels} pixels (height x width); it is cut short or damaged: '
            f'export the mask again'
        )
    return ''


def _run_lengths(counts: str | bytes) -> list[int] | None:
    """Decode COCO's compressed run lengths; None: they cannot be decoded.

    Each character carries 5 bits of a number, the lowest first, a bit that
    tells whether more follow, and in the last one the sign.  From the fourth
    on, the numbers are differences to the last but one.
    """
    raw = counts.encode() if isinstance(counts, str) else counts
    lengths: list[int] = []
    value = shift = 0
    for byte in raw:
        digit = byte - 48
        if not 0 <= digit < 64 or shift > 60:
            return None
        value |= (digit & 31) << shift
        shift += 5
        if digit & 32:
            continue
        if digit & 16:
            value -= 1 << shift
        lengths.append(value + lengths[-2] if len(lengths) > 2 else value)
        value = shift = 0
    return None if shift else lengths


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
