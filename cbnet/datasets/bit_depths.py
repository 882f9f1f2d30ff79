"""Notice images of 16 bits whose values fill only a few of them.

A decoder keeps the upper 8 bits. The 12 bits of a camera or a scanner become
0 to 15 of 255, and a detector sees black images.
"""

import io
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

_PNG, _PNG_BITS = b'\x89PNG\r\n\x1a\n', 24
_TIFF_BITS = 258
#: the number of images that are looked at
LOOKED_AT = 40
# A quarter of the range that a decoder keeps.
_DARK = 64 << 8


def describe_dark(names: Sequence[str | Path], folder: str | Path = '') -> str:
    """Look at some of many images, the same at each call.

    Args:
        names: the image files.
        folder: the folder to which the names are relative.

    Returns:
        A sentence about images that are loaded almost black; empty if there
        are none.
    """
    chosen = names[:: max(-(-len(names) // LOOKED_AT), 1)]
    found = {
        name: highest
        for name in chosen
        if (highest := _highest(Path(folder, name))) is not None
    }
    if not found:
        return ''
    name, highest = max(found.items(), key=lambda pair: pair[1])
    return (
        f'{Path(folder, name)} has 16 bits, and values up to {highest}, which '
        f'are loaded as 0 to {highest >> 8} of 255 ({len(found)} of '
        f'{len(chosen)} images that were looked at); stretch the values to 0 '
        f'to 65535, or save them with 8 bits'
    )


def _highest(path: Path) -> int | None:
    """Give the highest value of an image of 16 bits that is loaded dark."""
    try:
        with path.open('rb') as file:
            start = file.read(32)
            if start.startswith(_PNG) and start[_PNG_BITS] != 16:
                return None
            raw = start + file.read()
        if not start.startswith(_PNG) and not _is_deep_tiff(raw):
            return None
        pixels = cv2.imdecode(
            np.frombuffer(raw, np.uint8), cv2.IMREAD_UNCHANGED
        )
    except (OSError, SyntaxError, ValueError, IndexError, cv2.error):
        return None  # the loader will name it
    if pixels is None or pixels.dtype != np.uint16:
        return None
    highest = int(pixels[..., :3].max() if pixels.ndim == 3 else pixels.max())
    return highest if highest < _DARK else None


def _is_deep_tiff(raw: bytes) -> bool:
    if not raw.startswith((b'II*\x00', b'MM\x00*')):
        return False
    with Image.open(io.BytesIO(raw)) as image:
        bits: Sequence[int] = image.tag_v2.get(_TIFF_BITS) or (8,)
    return 16 in bits
