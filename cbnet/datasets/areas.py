"""The pixels that the annotated objects cover."""

from typing import Any

from pycocotools import mask as coco_mask

from ..messages import number_of
from .coco_check import by_id
from .coco_entries import BOX, to_rle


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


def leave_out_nothings(
    content: dict[str, Any],
) -> tuple[dict[str, Any], list[str]]:
    """Leave out the objects that cover no pixel, after the check of a file.

    Nothing can be learned from them, and no detection of one can be right.

    Returns:
        The content without them, and a line that says so, if there are any.
    """
    nothings = find_nothings(content)
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


def find_nothings(content: dict[str, Any]) -> list[dict[str, Any]]:
    """List the annotations of a checked file that cover no pixel."""
    images = by_id(content, 'images')
    return [
        entry
        for entry in content['annotations']
        if _covers_nothing(entry, images[entry['image_id']])
    ]


def _covers_nothing(entry: dict, image: dict) -> bool:
    """Tell whether mmdet leaves out a box, or a mask is empty."""
    x, y, w, h = entry['bbox']
    inside = min(x + w, image['width']) > max(x, 0) and (
        min(y + h, image['height']) > max(y, 0)
    )
    if w < 1 or h < 1 or not inside:
        return True
    rle = to_rle(entry, image)
    return rle is not None and not coco_mask.area(rle)
