"""Corrupt images as the benchmarks of robustness do, always in the same way.

The 15 corruptions are those of Hendrycks and Dietterich (arXiv 1903.12261),
which Michaelis et al. (arXiv 1907.07484) use for detection.
"""

import importlib
import inspect
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
from mmdet.datasets.transforms.transforms import Corrupt
from mmdet.registry import TRANSFORMS

from ..arguments import validated
from ..errors import UserValueError

CORRUPTIONS = (
    'gaussian_noise', 'shot_noise', 'impulse_noise', 'defocus_blur',
    'glass_blur', 'motion_blur', 'zoom_blur', 'snow', 'frost', 'fog',
    'brightness', 'contrast', 'elastic_transform', 'pixelate',
    'jpeg_compression',
)  # fmt: skip
SEVERITIES = 1, 2, 3, 4, 5
#: the least height and width of an image that the library takes
LEAST_SIDE = 32
# These draw from generators of their own, which numpy's seed does not reach.
_SEEDED = 'impulse_noise', 'glass_blur'


def corruption_library() -> Callable[..., np.ndarray]:
    """Give the function ``corrupt`` of the library of corruptions.

    Raises:
        ValueError: the library is not installed, or is the original one,
            which cannot be seeded and does not run with today's numpy.
    """
    try:
        corrupt = importlib.import_module('imagecorruptions').corrupt
    except ImportError:
        found = 'is not installed'
    else:
        if 'kwargs' in inspect.signature(corrupt).parameters:
            return corrupt
        found = (
            'is hidden by the package imagecorruptions, which takes no seed; '
            'uninstall that one first'
        )
    raise UserValueError(
        f'corrupted images need the package imagecorruptions-imaug, which '
        f"{found}; run: pip install 'cbnet[robustness]'"
    )


@TRANSFORMS.register_module()
@validated(corruption=Literal[CORRUPTIONS], severity=Literal[SEVERITIES])
class SeededCorrupt(Corrupt):
    """mmdet's ``Corrupt``, which corrupts an image in the same way each time.

    The random numbers depend on the name of the image file, the corruption
    and the severity alone, so that all detectors see the same images. The
    colours are those that the corruptions were made for: mmdet's transform
    gives the library blue for red, for example in frost and snow.

    Args:
        corruption: one of ``CORRUPTIONS``.
        severity: the level, from 1 to 5.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Corrupt ``results['img']``.

        Args:
            results: what the loading of an image gives, with ``img`` (H, W,
                3) in the order blue, green, red, and ``img_path``.

        Returns:
            ``results`` with a new ``img`` of the same shape and type.
        """
        image = results['img']
        name = Path(results['img_path']).name
        text = f'{name} {self.corruption} {self.severity}'
        seed = zlib.crc32(text.encode())
        further = dict(seed=seed) if self.corruption in _SEEDED else {}
        corrupt = corruption_library()
        with _seeded(seed):
            found = corrupt(
                np.ascontiguousarray(image[..., ::-1]).astype(np.uint8),
                corruption_name=self.corruption,
                severity=self.severity,
                **further,
            )
        results['img'] = np.ascontiguousarray(found[..., ::-1], image.dtype)
        return results


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed numpy's global generator in the block only."""
    state = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(state)
