"""Colours and textures of the generated data set.

They are drawn without knowing what they fill (a class, a distractor or the
background), so they reveal nothing about it. A texture is a pattern, the
weight in [0, 1] that mixes two colours at each pixel.
"""

import colorsys

import cv2
import numpy as np

# Weights of R, G, B in a colour distance: the eye's luminance, with a higher
# share of red and blue, so that hues of the same brightness still differ.
_DISTANCE_WEIGHTS = np.array([0.32, 0.48, 0.20], np.float32)


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
    rng: np.random.Generator,
    below: np.ndarray,
    min_distance: float,
    tries: int = 24,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw two colours that both stand out from the colour below.

    Args:
        rng: the source of randomness.
        below: the mean RGB colour, shape (3,), of the covered pixels.
        min_distance: the least :func:`colour_distance`.
        tries: the number of draws, after which the best pair is taken.

    Returns:
        Two RGB colours, float32 of shape (3,).
    """
    best, best_distance = None, -1.0
    for _ in range(tries):
        colour = random_colour(rng)
        pair = colour, companion(rng, colour)
        distance = min(colour_distance(c, below) for c in pair)
        if distance > best_distance:
            best, best_distance = pair, distance
        if distance >= min_distance:
            break
    return best


def texture(
    rng: np.random.Generator,
    shape: tuple[int, int],
    colours: tuple[np.ndarray, np.ndarray],
    period: float,
) -> np.ndarray:
    """Draw a pattern and fill a patch with it.

    Args:
        rng: the source of randomness.
        shape: the height and width of the patch.
        colours: the two RGB colours to mix.
        period: the number of pixels after which the pattern repeats.

    Returns:
        RGB float32 of shape (height, width, 3).
    """
    name = _PATTERNS[rng.integers(len(_PATTERNS))]
    weight = _pattern(rng, name, shape, period)[..., None]
    first, second = (c.astype(np.float32) for c in colours)
    filled = weight.astype(np.float32, copy=False) * (second - first)
    filled += first
    return filled


_PATTERNS = ('plain', 'gradient', 'stripes', 'dots', 'waves', 'clouds')


def _pattern(
    rng: np.random.Generator, name: str, shape: tuple[int, int], period: float
) -> np.ndarray:
    """Draw the weights in [0, 1] of a pattern, of the patch's shape."""
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
    if name == 'stripes':
        return _steepen(np.sin(u * step), period / 5)
    if name == 'dots':
        wave = np.sin(u * step) * np.sin(v * step) - 0.35
        return _steepen(wave, period / 4)
    bent = u + 0.4 * period * np.sin(v * (np.pi / period))
    return _steepen(np.sin(bent * step), period / 5)


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
