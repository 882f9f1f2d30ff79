"""Check the segmentation of a COCO annotation: polygons or run lengths."""

import math
from typing import Any


def segmentation_problem(
    annotation: dict[str, Any], image: dict[str, Any], needed: bool
) -> str:
    """Say what is wrong with an annotation's segmentation.

    Args:
        annotation: an entry of ``annotations``.
        image: the entry of its image.
        needed: whether it must have one.

    Returns:
        One sentence, or nothing where all is well.
    """
    found = annotation.get('segmentation')
    if not found:
        return (
            'has no segmentation, which a detector with masks learns from; '
            'add it, or take a detector of boxes only'
            if needed
            else ''
        )
    if isinstance(found, list):
        return _polygons(found)
    if isinstance(found, dict):
        return _run_lengths(found, image)
    return (
        f'segmentation is a {type(found).__name__}, expected a list of '
        'polygons or a dict of size and counts'
    )


def _polygons(polygons: list) -> str:
    for number, polygon in enumerate(polygons):
        where = f'segmentation[{number}]'
        if not isinstance(polygon, list):
            return (
                f'{where} is {polygon!r}, expected a list of x, y, x, y, ... '
                '(a polygon is a list inside the list of polygons)'
            )
        if len(polygon) % 2 or len(polygon) < 6:
            return (
                f'{where} has {len(polygon)} numbers, expected an even '
                'number of at least 6 (x, y of each corner); mend or remove '
                'the polygon'
            )
        for value in polygon:
            if not isinstance(value, int | float) or not math.isfinite(value):
                return f'{where} holds {value!r}, expected numbers only'
    return ''


def _run_lengths(found: dict, image: dict) -> str:
    size, expected = found.get('size'), [image.get('height')]
    expected.append(image.get('width'))
    if size != expected:
        return (
            f'segmentation.size is {size!r}, expected {expected}, height and '
            f'width of {image.get("file_name")}'
        )
    counts = found.get('counts')
    if isinstance(counts, str) and counts:
        return ''
    if not isinstance(counts, list) or not all(
        isinstance(count, int) and count >= 0 for count in counts
    ):
        return (
            f'segmentation.counts is {str(counts)[:40]!r}, expected run '
            'lengths: a string or a list of counts'
        )
    if sum(counts) != expected[0] * expected[1]:
        return (
            f'segmentation.counts add up to {sum(counts)} pixels, expected '
            f'{expected[0] * expected[1]} (height x width)'
        )
    return ''
