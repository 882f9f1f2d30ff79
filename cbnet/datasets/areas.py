"""The pixels that the annotated objects cover."""

from typing import Any

from pycocotools import mask as coco_mask

from ..messages import number_of
from .coco_entries import BOX
from .coco_lists import by_id
from .coco_masks import encoded, to_rle

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
    """List the annotations of a checked file that cover no pixel."""
    images = by_id(content, 'images')
    found = []
    for entry in content['annotations']:
        image = images[entry['image_id']]
        empty = _is_empty_box(entry['bbox'], image)
        if training and (empty or not _is_small(entry)):
            continue
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
    rle = encoded(entry, image)
    return rle is not None and not coco_mask.area(rle)


def _is_small(entry: dict[str, Any]) -> bool:
    return entry['area'] < _SMALL or min(entry['bbox'][2:]) < _THIN
