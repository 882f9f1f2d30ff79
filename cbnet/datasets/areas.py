"""The pixels that the annotated objects cover."""

import math
from typing import Any

from pycocotools import mask as coco_mask

from ..messages import brief, number_of
from .coco_entries import BOX, MISSING, NUMBERS, PIXELS, is_id, is_number
from .coco_lists import by_id
from .coco_masks import to_rle

# Masks of fewer pixels, or in thinner boxes, may well be empty.
_SMALL, _THIN = 32, 4


def object_area(entry: dict[str, Any], image: dict[str, Any]) -> float:
    """Compute the area of a mask, or else of the box.

    Returns:
        The number of pixels; 0 if the box or the mask is wrong.
    """
    box = entry.get('bbox')
    if not BOX[0](box) or min(box[2:]) <= 0:
        return 0.0
    try:
        rle = to_rle(entry, image)
    except ValueError:
        return 0.0
    return float(box[2] * box[3] if rle is None else coco_mask.area(rle))


def wrong_area(entry: dict[str, Any], image: dict[str, Any]) -> float:
    """Compute the area of an object whose ``area`` cannot be right.

    Returns:
        The number of pixels; 0 if ``area`` can be right, if the object covers
        no pixel, or if the size of the image is not known.
    """
    area = entry.get('area')
    width, height = sides = image.get('width'), image.get('height')
    # There may be a million objects, of which almost all are right.
    quick = type(area) in NUMBERS and type(width) is type(height) is int
    if quick and 0 < area <= width * height:
        return 0.0
    if not all(map(PIXELS[0], sides)) or (
        is_number(area) and 0 < area <= math.prod(sides)
    ):
        return 0.0
    return object_area(entry, image)


def area_problem(entry: dict[str, Any], image: dict[str, Any]) -> str:
    """Describe an ``area`` that cannot be right.

    mmdet would leave such an object out of a training, but not out of an
    evaluation.
    """
    area = wrong_area(entry, image)
    if not area or _is_empty_box(entry['bbox'], image):
        return ''
    return (
        f'area is {brief(entry.get("area", MISSING))}, but the object covers '
        f'{area:g} pixels; correct it, or train with --data-root, which '
        f'computes such areas'
    )


def leave_out_nothings(
    content: dict[str, Any], training: bool
) -> tuple[dict[str, Any], list[str]]:
    """Leave out the objects that cover no pixel, after the check of a file.

    Nothing can be learned from them, and no detection of one can be right.

    Args:
        content: the content of the file.
        training: whether the file is trained on. mmdet then leaves out empty
            boxes by itself, and of the masks only those of small objects are
            looked at, because there may be a million.

    Returns:
        The content without them, and a line that says so, if there are any.
    """
    nothings = find_nothings(content, training)
    if not nothings:
        return content, []
    ids = {entry['id'] for entry in nothings}
    everything = content['annotations']
    kept = [entry for entry in everything if entry['id'] not in ids]
    line = (
        f'left out, because box or mask cover no pixel: {len(nothings)} of '
        f'{number_of(len(everything), "objects")}'
    )
    return content | dict(annotations=kept), [line]


def find_nothings(
    content: dict[str, Any], training: bool = False
) -> list[dict[str, Any]]:
    """List the annotations that cover no pixel; wrong ones are none of them.

    Args:
        content: the content of an annotation file, checked if it is trained
            on.
        training: see ``leave_out_nothings``.
    """
    images, entries = by_id(content, 'images'), content['annotations']
    if training:
        entries = filter(_is_small, entries)
    found = []
    for entry in entries:
        key, box = entry.get('image_id'), entry.get('bbox')
        image = images.get(key, {}) if is_id(key) else {}
        sides = image.get('width'), image.get('height')
        if not (BOX[0](box) and all(map(PIXELS[0], sides))):
            continue
        empty = _is_empty_box(box, image)
        if empty and training:
            continue  # mmdet leaves it out
        if empty or _is_empty_mask(entry, image):
            found.append(entry)
    return found


def _is_empty_box(box: list[float], image: dict[str, Any]) -> bool:
    """Tell whether mmdet leaves out a box."""
    x, y, w, h = box
    inside = min(x + w, image['width']) > max(x, 0) and (
        min(y + h, image['height']) > max(y, 0)
    )
    return w < 1 or h < 1 or not inside


def _is_empty_mask(entry: dict[str, Any], image: dict[str, Any]) -> bool:
    try:
        rle = to_rle(entry, image)
    except ValueError:
        return False
    return rle is not None and not coco_mask.area(rle)


def _is_small(entry: dict[str, Any]) -> bool:
    _, _, width, height = entry['bbox']
    return (
        entry['area'] < _SMALL
        or width < _THIN
        or height < _THIN
        or isinstance(entry.get('segmentation'), dict)  # soon counted
    )
