"""Colours and textures of the generated data set.

They are drawn without knowing what they fill (a class, a distractor or the
background), so they reveal nothing about it. A texture is a pattern, the
weight in [0, 1] that mixes two colours at each pixel.
"""

import colorsys
from operator import itemgetter

import cv2
import numpy as np

# Weights of R, G, B in a colour distance: the eye's luminance, with a higher
# share of red and blue, so that hues of the same brightness still differ.
_DISTANCE_WEIGHTS = np.array([0.32, 0.48, 0.20], np.float32)
_PAIR_DRAWS = 24
_PATTERNS = ('plain', 'gradient', 'stripes', 'dots', 'waves', 'clouds')


def random_colour(rng: np.random.Generator) -> np.ndarray:
    """Draw one colour, RGB float32 of shape (3,) in [0, 255]."""
    hue, saturation = rng.random(), rng.uniform(0.25, 0.9)
    rgb = colorsys.hsv_to_rgb(hue, saturation, rng.uniform(0.3, 0.95))
    return np.array(rgb, np.float32) * 255


def colour_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Measure the distance of two RGB colours, 0 to 255 (black to white)."""
    return float(np.sqrt(_DISTANCE_WEIGHTS @ (first - second) ** 2))


def companion(rng: np.random.Generator, colour: np.ndarray) -> np.ndarray:
    """Draw a colour similar to another one: a shade of it, slightly off."""
    shade = colour * rng.choice([rng.uniform(0.55, 0.8), 1.0])
    other = random_colour(rng)
    mix = rng.uniform(0.15, 0.45)
    return (1 - mix) * shade + mix * other


def contrasting_pair(
    rng: np.random.Generator, below: np.ndarray, min_distance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Draw two colours that both stand out from the mean RGB colour below.

    If no pair of some draws has the least :func:`colour_distance`, the best
    one is taken.
    """
    pairs = []
    for _ in range(_PAIR_DRAWS):
        colour = random_colour(rng)
        pair = colour, companion(rng, colour)
        pairs.append((min(colour_distance(c, below) for c in pair), pair))
        if pairs[-1][0] >= min_distance:
            break
    return max(pairs, key=itemgetter(0))[1]


def texture(
    rng: np.random.Generator,
    shape: tuple[int, int],
    colours: tuple[np.ndarray, np.ndarray],
    period: float,
) -> np.ndarray:
    """Fill a patch (height, width) with a pattern of two RGB colours.

    The pattern repeats after a period in pixels. The result is RGB float32
    of shape (height, width, 3).
    """
    name = _PATTERNS[rng.integers(len(_PATTERNS))]
    weight = _pattern(rng, name, shape, period)[..., None]
    first, second = (c.astype(np.float32) for c in colours)
    return first + weight.astype(np.float32, copy=False) * (second - first)


def _pattern(
    rng: np.random.Generator, name: str, shape: tuple[int, int], period: float
) -> np.ndarray:
    """Draw a pattern: weights in [0, 1] of the patch's shape."""
    if name == 'plain':
        return np.zeros(shape, np.float32)
    if name == 'clouds':
        cells = [2 + int(edge / period) for edge in shape]
        coarse = rng.random(cells, dtype=np.float32)
        fine = cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)
        return np.clip(fine, 0, 1)
    u, v = _slant(rng, *shape)
    step = 2 * np.pi / period
    if name == 'gradient':
        return (u - u.min()) / max(float(np.ptp(u)), 1.0)
    if name == 'dots':
        wave = np.sin(u * step) * np.sin(v * step) - 0.35
        return _steepen(wave, period / 4)
    if name == 'waves':
        u = u + 0.4 * period * np.sin(v * (np.pi / period))
    return _steepen(np.sin(u * step), period / 5)


def _slant(
    rng: np.random.Generator, height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Give coordinates in pixels along two perpendicular, rotated axes."""
    angle = rng.uniform(0, 2 * np.pi)
    x = np.arange(width, dtype=np.float32)[None, :]
    y = np.arange(height, dtype=np.float32)[:, None]
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return x * cos + y * sin, y * cos - x * sin


def _steepen(wave: np.ndarray, edge: float) -> np.ndarray:
    """Turn a wave in [-1, 1] into bands in [0, 1] with soft edges."""
    return np.clip(0.5 + wave * edge, 0, 1)
