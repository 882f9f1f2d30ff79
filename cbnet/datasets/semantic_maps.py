"""Check that the maps of stuff and things that a config needs exist."""

import os
from collections.abc import Iterable
from pathlib import Path

from ..errors import UserValueError


def check_semantic_maps(
    folder: str | os.PathLike,
    file_names: Iterable[str],
    advice: str,
    suffix: str = '.png',
) -> None:
    """Look for the map of every image; list each folder only once.

    Args:
        folder: the folder of the maps.
        file_names: the file names of the images in the annotation file; a
            map has its image's name with another suffix.
        advice: the alternative to adding the maps, for the message.
        suffix: the suffix of the maps.

    Raises:
        ValueError: names the folder, or the first map that is missing and
            how many are.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserValueError(
            f'{folder}: there is no such folder of semantic maps '
            f'(stuffthingmaps), which the config learns from; put them '
            f'there, or {advice}'
        )
    maps = [f'{name.rsplit(".", 1)[0]}{suffix}' for name in file_names]
    found = {
        os.path.join(parent, name)
        for parent in {os.path.dirname(name) for name in maps}
        if (folder / parent).is_dir()
        for name in os.listdir(folder / parent)
    }
    missing = [name for name in maps if name not in found]
    if missing:
        raise UserValueError(
            f'{folder / missing[0]}: the semantic map is not there '
            f'({len(missing)} of {len(maps)} images have none in {folder}); '
            f'put them there, or {advice}'
        )
