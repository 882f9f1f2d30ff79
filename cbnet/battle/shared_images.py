"""Refuse splits that share images.

Figures of images that were trained on, or that a choice has seen, would tell
nothing about new ones.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ..datasets.own_data import Split
from ..errors import UserValueError


def check_images(root: Path, splits: Mapping[str, Split]) -> None:
    """Refuse an image that is in two splits, as one file or as a copy.

    A copy has the name and the content of the other file; to read all files
    of a big data set would take minutes.

    Args:
        root: the folder of the data set, for errors.
        splits: the splits by their names.

    Raises:
        ValueError: names the first such image.
    """
    alike: dict[tuple, list[tuple[str, Path]]] = {}
    for role, split in splits.items():
        for image in split.content['images']:
            file = split.images / image['file_name']
            for key in _keys(file):
                alike.setdefault(key, []).append((role, file))
    for group in alike.values():
        if len({role for role, _ in group}) > 1:
            _compare(root, splits, group)


def _compare(
    root: Path,
    splits: Mapping[str, Split],
    group: Iterable[tuple[str, Path]],
) -> None:
    known: dict[bytes, tuple[str, Path]] = {}
    for role, file in group:
        digest = hashlib.sha256(file.read_bytes()).digest()
        first, other = known.setdefault(digest, (role, file))
        if first == role:
            continue
        source = splits[role].annotations
        if splits[first].annotations == source:  # the battle divides it
            raise UserValueError(
                f'--data-root {root}: the images {other} and {file} of '
                f'{source} are equal, so the figures would not be those of '
                f'new images; remove one of the two from this file'
            )
        raise UserValueError(
            f'--data-root {root}: the splits {first} and {role} share images, '
            f'such as {file}, so the figures would not be those of new '
            f'images; give each split images of its own'
        )


def _keys(file: Path) -> Iterator[tuple]:
    """Yield what the file of an image, or a copy of it, has in common."""
    if file.is_file():
        about = file.stat()  # the same for all links to a file
        yield about.st_dev, about.st_ino
        yield file.name, about.st_size
