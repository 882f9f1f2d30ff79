"""The outlines of the generated data set: classes and distractors.

:func:`pose` gives an outline any size and angle, so that neither reveals the
class.
"""

import math

import cv2
import numpy as np
from shapely import Polygon, affinity, box, get_coordinates

# Sub-pixels per pixel and axis; coverage counts them, so masks are exact.
_SUBPIXELS = 4
# Fractional bits of the corners in the fixed-point numbers of OpenCV.
_SHIFT = 6


def _circle(radius: float, num_points: int = 64) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, num_points, endpoint=False)
    return radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _star() -> Polygon:
    points = _circle(1.0, 10)
    points[1::2] *= 0.47
    return Polygon(points)


def _heart() -> Polygon:
    t = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    x = 16 * np.sin(t) ** 3
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return Polygon(np.stack([x, -y], axis=1))


def _cross(arm: float = 0.36) -> Polygon:
    return box(-1, -arm, 1, arm) | box(-arm, -1, arm, 1)


#: class name -> outline, in the order of the category ids
CLASS_OUTLINES = {
    'triangle': Polygon(_circle(1.0, 3)),
    'square': Polygon(_circle(1.0, 4)),
    'star': _star(),
    'heart': _heart(),
    'ring': Polygon(_circle(1.0), holes=[_circle(0.5)]),
    'cross': _cross(),
}


def distractor(rng: np.random.Generator) -> Polygon:
    """Draw an outline that belongs to no class: a blob or a bent stroke."""
    if rng.random() < 0.5:
        points = _circle(1.0)
        angle = np.linspace(0, 2 * np.pi, len(points), endpoint=False)
        radius = np.ones_like(angle)
        for waves, swing in ((2, 0.3), (3, 0.04), (4, 0.06)):
            phase = rng.uniform(0, 2 * np.pi)
            radius += rng.uniform(0, swing) * np.cos(waves * angle + phase)
        return Polygon(points * radius[:, None])
    x = np.linspace(-1, 1, 32)
    y = rng.uniform(-0.4, 0.4) * x**2 + rng.uniform(-0.4, 0.4) * x**3
    half_width = rng.uniform(0.04, 0.12)
    there = np.stack([x, y - half_width], axis=1)
    back = np.stack([x, y + half_width], axis=1)[::-1]
    return Polygon(np.concatenate([there, back]))


def pose(
    outline: Polygon, side: float, angle: float, stretch: float = 1.0
) -> Polygon:
    """Scale, stretch and rotate an outline around the origin.

    Args:
        outline: the outline in any unit.
        side: the square root of the new area, in pixels.
        angle: the rotation in radians.
        stretch: the factor along x before the rotation; y is divided by it.

    Returns:
        An outline in pixels, with the middle of its box at the origin.
    """
    scale = side / math.sqrt(outline.area)
    sized = affinity.scale(
        outline, scale * stretch, scale / stretch, origin=(0, 0)
    )
    turned = affinity.rotate(sized, angle, origin=(0, 0), use_radians=True)
    left, top, right, bottom = turned.bounds
    return affinity.translate(turned, -(left + right) / 2, -(top + bottom) / 2)


def coverage(outline: Polygon) -> np.ndarray:
    """Rasterise an outline in pixels on a patch that just contains it.

    Returns:
        The covered fraction of every pixel, float32 of shape (h, w) in
        [0, 1], with at least one empty pixel on every side.
    """
    low = np.floor(outline.bounds[:2]) - 1
    width, height = (np.ceil(outline.bounds[2:]) + 1 - low).astype(int)
    fine = np.zeros((height * _SUBPIXELS, width * _SUBPIXELS), np.float32)
    # OpenCV counts from the middle of a pixel, outlines from its corner.
    corners = [
        ((get_coordinates(ring) - low) * _SUBPIXELS - 0.5) * 2**_SHIFT
        for ring in (outline.exterior, *outline.interiors)
    ]
    corners = [np.rint(points).astype(np.int32) for points in corners]
    cv2.fillPoly(fine, corners, 1, shift=_SHIFT)
    return cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA)
