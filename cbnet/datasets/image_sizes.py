"""Compare the size of an image with the one that its annotations declare.

Masks are drawn, and boxes are judged, in the declared size.  Photos that a
camera has marked as turned (EXIF), thumbnails, and images that were resized
after they had been annotated do not have it.
"""

import io
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image

# The EXIF orientations from which a decoder exchanges height and width.
_TURNED = range(5, 9)


def size_problem(
    declared: tuple[int, int], found: tuple[int, int], content: bytes
) -> str:
    """Describe in what an image differs from its annotations.

    Args:
        declared: the (H, W) that the annotation file declares.
        found: the (H, W) of the decoded image.
        content: the image file.

    Returns:
        A part of a sentence; empty if both sizes are equal.
    """
    if tuple(declared) == tuple(found):
        return ''
    turned = False
    with suppress(Image.DecompressionBombError):
        turned = decoded_size(content)[1]
    cause = (
        ' after the turn that its EXIF orientation asks for' if turned else ''
    )
    return (
        f'has {found[1]}x{found[0]} pixels{cause}, but its annotations '
        f'declare {declared[1]}x{declared[0]}'
    )


def decoded_size(content: bytes) -> tuple[tuple[int, int], bool]:
    """Read the size from the header of an image file.

    Returns:
        The (H, W) after decoding, and whether EXIF exchanges the sides.

    Raises:
        OSError: the header cannot be read.
    """
    with Image.open(io.BytesIO(content)) as image:
        width, height = image.size
        turned = image.getexif().get(ExifTags.Base.Orientation) in _TURNED
    return ((width, height) if turned else (height, width)), turned


def size_problems(content: dict[str, Any], folder: Path) -> Iterator[str]:
    """Yield one line for each image of an annotation file of another size.

    This opens every image; those that cannot be opened are left out, because
    the loader names them.
    """
    for place, entry in enumerate(content['images']):
        try:
            name = entry['file_name']
            raw = (folder / name).read_bytes()
            found, _ = decoded_size(raw)
            declared = int(entry['height']), int(entry['width'])
        except (
            OSError,
            KeyError,
            TypeError,
            ValueError,
            Image.DecompressionBombError,
        ):
            continue
        if problem := size_problem(declared, found, raw):
            yield f'images[{place}] (id {entry.get("id")!r}): {name} {problem}'
