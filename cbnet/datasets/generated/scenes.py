"""One scene of the generated data set: an image and its visible masks.

Later shapes cover earlier ones, in the image and in the masks alike, so the
masks of a scene never overlap.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from .outlines import CLASS_OUTLINES, coverage, distractor, pose
from .textures import companion, contrasting_pair, random_colour, texture

NUM_INSTANCES = 3, 7
#: The least part of an instance's area that is inside the image and not
#: covered.
MIN_VISIBLE = 0.7
# Ranges of sqrt(area) in pixels and their shares: COCO's small, medium and
# large, whose limits are 32 and 96. Large shapes are drawn more often than
# wanted, because fewer of them find a place and others cover them.
_SIDES = ((20.0, 31.0, 0.32), (33.0, 95.0, 0.36), (102.0, 126.0, 0.32))
# The largest sqrt(area) relative to the image's shorter side.
_MAX_SIDE = 0.5
_MIN_CONTRAST = 75.0
_NOISE = 3.0
_SHADOW = 0.35
# A rim is either darker or lighter than the shape.
_RIM_TONES = 0.62, 1.4
_PLACE_TRIES = 25
_TURN = 2 * np.pi


@dataclass
class Scene:
    """An image and the instances in it.

    Attributes:
        image: RGB uint8 of shape (H, W, 3).
        labels: the index of each instance's class among those that were
            asked for, the bottom one first.
        masks: the visible pixels of each instance, bool of shape (N, H, W).
        full_areas: the pixels of each instance before others covered it or
            the border cut it.
    """

    image: np.ndarray
    labels: list[int]
    masks: np.ndarray
    full_areas: list[int]


def make_scene(
    rng: np.random.Generator,
    size: tuple[int, int],
    classes: Sequence[str] = tuple(CLASS_OUTLINES),
) -> Scene:
    """Draw one scene of some classes on an image of a size (width, height)."""
    width, height = size
    canvas = _background(rng, (height, width))
    for _ in range(rng.integers(2, 6)):
        side = min(rng.uniform(12, 48), _MAX_SIDE * min(size))
        alpha = coverage(pose(distractor(rng), side, rng.uniform(0, _TURN)))
        corner = _scatter(rng, alpha.shape, size)
        _paint(rng, canvas, alpha, corner, side)

    labels: list[int] = []
    full_areas: list[int] = []
    masks = np.zeros((0, height, width), bool)
    outlines = [CLASS_OUTLINES[name] for name in classes]
    wanted = rng.integers(*NUM_INSTANCES, endpoint=True)
    # A few spare draws replace shapes that find no place.
    for _ in range(wanted + 20):
        if len(labels) == wanted:
            break
        label = int(rng.integers(len(outlines)))
        side = _side(rng, size)
        angle, stretch = rng.uniform(0, _TURN), rng.uniform(0.87, 1.15)
        alpha = coverage(pose(outlines[label], side, angle, stretch))
        areas = [*full_areas, int((alpha >= 0.5).sum())]
        placed = _place(
            rng, alpha >= 0.5, masks, MIN_VISIBLE * np.array(areas)
        )
        if placed is not None:
            corner, masks = placed
            labels.append(label)
            full_areas = areas
            _paint(rng, canvas, alpha, corner, side)
    return Scene(_finish(rng, canvas), labels, masks, full_areas)


def _side(rng: np.random.Generator, size: tuple[int, int]) -> float:
    """Draw sqrt(area) in pixels: a COCO size class, then log-uniform."""
    longest = _MAX_SIDE * min(size)
    ranges = [entry for entry in _SIDES if entry[0] < longest]
    shares = np.array([share for _, _, share in ranges])
    low, high, _ = ranges[rng.choice(len(ranges), p=shares / shares.sum())]
    return float(np.exp(rng.uniform(np.log(low), np.log(min(high, longest)))))


def _background(
    rng: np.random.Generator, shape: tuple[int, int]
) -> np.ndarray:
    """Draw two large calm textures, the second one nearly transparent."""
    colour = random_colour(rng)
    first, second = (
        texture(
            rng, shape, (colour, companion(rng, colour)), rng.uniform(12, 70)
        )
        for _ in range(2)
    )
    return first + (second - first) * np.float32(rng.uniform(0.1, 0.5))


def _scatter(
    rng: np.random.Generator, patch: tuple[int, int], size: tuple[int, int]
) -> tuple[int, int]:
    """Draw a patch's corner (x, y) with its middle in the image."""
    middle = rng.integers((0, 0), size)
    return int(middle[0] - patch[1] // 2), int(middle[1] - patch[0] // 2)


def _place(
    rng: np.random.Generator,
    solid: np.ndarray,
    masks: np.ndarray,
    least: np.ndarray,
) -> tuple[tuple[int, int], np.ndarray] | None:
    """Find a place on top where enough of every instance stays visible.

    Args:
        rng: the source of randomness.
        solid: the new instance's pixels, a bool patch (h, w).
        masks: the visible pixels of the others, bool of shape (N, H, W).
        least: the least visible pixels of each, the new one last, (N + 1,).

    Returns:
        The patch's corner (x, y) and all masks (N + 1, H, W), or None.
    """
    shape = masks.shape[1:]
    visible = masks.sum(axis=(1, 2))
    for _ in range(_PLACE_TRIES):
        corner = _scatter(rng, solid.shape, shape[::-1])
        (rows, columns), own = _overlap(solid.shape, corner, shape)
        hidden = (masks[:, rows, columns] & solid[own]).sum(axis=(1, 2))
        if ([*(visible - hidden), solid[own].sum()] >= least).all():
            mask = np.zeros(shape, bool)
            mask[rows, columns] = solid[own]
            return corner, np.concatenate([masks & ~mask, mask[None]])
    return None


def _overlap(
    patch: tuple[int, int], corner: tuple[int, int], shape: tuple[int, int]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Give the slices of the image and of the patch where they overlap."""
    starts = np.array(corner[::-1])
    low = np.maximum(starts, 0)
    high = np.maximum(np.minimum(starts + patch, shape), 0)
    inside = tuple(map(slice, low, high))
    return inside, tuple(map(slice, low - starts, high - starts))


def _paint(
    rng: np.random.Generator,
    canvas: np.ndarray,
    alpha: np.ndarray,
    corner: tuple[int, int],
    side: float,
) -> None:
    """Paint a textured shape with a soft shadow and a thin rim.

    Class shapes and distractors are painted alike, so that the paint reveals
    nothing. ``canvas``, RGB float32 (H, W, 3), changes in place.
    """
    reach = 6  # of the shadow
    padded = np.pad(alpha, reach)
    corner = corner[0] - reach, corner[1] - reach
    inside, own = _overlap(padded.shape, corner, canvas.shape[:2])
    below, cover = canvas[inside], padded[own][..., None]
    mean_below = (below * cover).sum(axis=(0, 1)) / max(cover.sum(), 1.0)
    colours = contrasting_pair(rng, mean_below, _MIN_CONTRAST)
    period = rng.uniform(0.2, 0.45) * np.clip(side, 16, 60)
    fill = texture(rng, padded.shape, colours, period)

    rim = padded - cv2.erode(padded, np.ones((3, 3), np.uint8))
    tone = _RIM_TONES[rng.integers(2)]
    fill *= (1 + (tone - 1) * rim)[..., None]
    shadow = cv2.GaussianBlur(np.roll(padded, (2, 2), (0, 1)), (0, 0), 1.6)
    below *= 1 - _SHADOW * shadow[own][..., None]
    below += cover * (np.clip(fill[own], 0, 255) - below)


def _finish(rng: np.random.Generator, canvas: np.ndarray) -> np.ndarray:
    """Add uneven light and mild noise to the canvas; convert it to bytes."""
    height, width = canvas.shape[:2]
    slope = rng.uniform(-0.12, 0.12, 2).astype(np.float32)
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :, None]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None, None]
    canvas *= 1 + slope[0] * x + slope[1] * y
    canvas += _NOISE * rng.standard_normal(canvas.shape, dtype=np.float32)
    return np.clip(np.rint(canvas), 0, 255).astype(np.uint8)
