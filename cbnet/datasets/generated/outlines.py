"""The outlines of the generated data set: classes and distractors.

An outline is a list of closed contours, each an array (N, 2) of x, y points.
A contour inside another one is a hole. :func:`pose` gives every outline a
random size and angle, so that neither of them reveals the class.
"""

import cv2
import numpy as np

Outline = list[np.ndarray]

# Sub-pixels per pixel and axis; coverage counts them, so masks are exact.
_SUBPIXELS = 4
# Fixed-point bits of the polygon corners that OpenCV gets.
_SHIFT = 6


def _circle(radius: float, num_points: int = 64) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, num_points, endpoint=False)
    return radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _star() -> np.ndarray:
    points = _circle(1.0, 10)
    points[1::2] *= 0.47
    return points


def _heart() -> np.ndarray:
    t = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    x = 16 * np.sin(t) ** 3
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([x, -y], axis=1)


def _cross(arm: float = 0.36) -> np.ndarray:
    corner = np.array([[1, -arm], [1, arm], [arm, arm]])
    quarter = np.array([[0, 1], [-1, 0]])
    turns = [np.linalg.matrix_power(quarter, k) for k in range(4)]
    return np.concatenate([corner @ turn for turn in turns])


#: class name -> outline, in the order of the category ids
CLASS_OUTLINES: dict[str, Outline] = {
    'triangle': [_circle(1.0, 3)],
    'square': [_circle(1.0, 4)],
    'star': [_star()],
    'heart': [_heart()],
    'ring': [_circle(1.0), _circle(0.5)],
    'cross': [_cross()],
}


def distractor(rng: np.random.Generator) -> Outline:
    """Draw an outline that belongs to no class: a blob or a bent stroke."""
    if rng.random() < 0.5:
        points = _circle(1.0)
        angle = np.linspace(0, 2 * np.pi, len(points), endpoint=False)
        radius = np.ones_like(angle)
        for waves, swing in ((2, 0.3), (3, 0.04), (4, 0.06)):
            phase = rng.uniform(0, 2 * np.pi)
            radius += rng.uniform(0, swing) * np.cos(waves * angle + phase)
        return [points * radius[:, None]]
    x = np.linspace(-1, 1, 32)
    y = rng.uniform(-0.4, 0.4) * x**2 + rng.uniform(-0.4, 0.4) * x**3
    half_width = rng.uniform(0.04, 0.12)
    there = np.stack([x, y - half_width], axis=1)
    back = np.stack([x, y + half_width], axis=1)[::-1]
    return [np.concatenate([there, back])]


def _area(points: np.ndarray) -> float:
    following = np.roll(points, -1, axis=0)
    cross = points[:, 0] * following[:, 1] - points[:, 1] * following[:, 0]
    return abs(0.5 * float(cross.sum()))


def pose(
    outline: Outline, side: float, angle: float, stretch: float = 1.0
) -> Outline:
    """Scale, stretch and rotate an outline around the origin.

    Args:
        outline: the contours, first the outer one, then the holes.
        side: the square root of the new area, in pixels.
        angle: the rotation in radians.
        stretch: the factor along x before the rotation; y is divided by it,
            so the area does not change.

    Returns:
        New contours in pixels, with the middle of their box at the origin.
    """
    areas = [_area(points) for points in outline]
    scale = side / np.sqrt(areas[0] - sum(areas[1:]))
    cos, sin = np.cos(angle), np.sin(angle)
    stretched = np.diag([scale * stretch, scale / stretch])
    matrix = stretched @ np.array([[cos, sin], [-sin, cos]])
    posed = [points @ matrix for points in outline]
    low, high = posed[0].min(axis=0), posed[0].max(axis=0)
    return [points - (low + high) / 2 for points in posed]


def coverage(outline: Outline) -> np.ndarray:
    """Rasterise an outline in pixels on a patch that just contains it.

    Returns:
        The covered fraction of every pixel, float32 of shape (h, w) in
        [0, 1], with at least one empty pixel on every side.
    """
    low = np.floor(outline[0].min(axis=0)) - 1
    width, height = (np.ceil(outline[0].max(axis=0)) + 1 - low).astype(int)
    fine = np.zeros((height * _SUBPIXELS, width * _SUBPIXELS), np.uint8)
    # OpenCV counts from the middle of a pixel, outlines from its corner.
    corners = [
        np.rint(((points - low) * _SUBPIXELS - 0.5) * 2**_SHIFT)
        for points in outline
    ]
    cv2.fillPoly(fine, [c.astype(np.int32) for c in corners], 1, shift=_SHIFT)
    rows = fine.reshape(height, _SUBPIXELS, -1).sum(axis=1, dtype=np.uint8)
    cells = rows.reshape(height, width, _SUBPIXELS)
    counts = cells.sum(axis=2, dtype=np.uint8)
    return counts.astype(np.float32) / _SUBPIXELS**2
