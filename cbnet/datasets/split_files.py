"""Which of the JSON files in a data set's folder belongs to which split.

The words of a file's name decide, or those of the nearest folder that name a
split: ``arrival_train.json`` belongs to ``train``, although "arrival"
contains "val".
"""

import os
import re
from pathlib import Path
from typing import Literal

from ..errors import UserValueError
from ..messages import listed
from .annotations import is_coco

#: how exporters name a split and the folder of its images
SPLITS = {
    'train': ('train', 'training', 'trainset'),
    'val': ('val', 'valid', 'validation', 'valset', 'minival'),
    'test': ('test', 'testing', 'testset'),
}
#: the end of the names of our own copies, which may lie below the data
COPY = '_for_mmdet'
#: what makes a folder that of a battle, which may lie below the data, too
BATTLE = 'battle.json'
#: which options a command has: those that name the files of splits, and
#: --no-val; the former only; or none of them
KnownOptions = Literal['all', 'files', 'none']
# COCO's folder has other annotations of the same images beside these.
_PREFERRED = 'instances'


def find_split_file(
    root: Path, split: str, only: bool = False, options: KnownOptions = 'all'
) -> Path:
    """Find the annotation file of a split.

    Args:
        root: the folder of the data set.
        split: ``train`` or ``val``.
        only: whether the only COCO file of the folder is taken, whatever
            its name is.
        options: the options that errors may name.

    Raises:
        ValueError: there is none, there are several, or the file belongs to
            both splits; the message names the option that settles it, or
            what to name the file.
    """
    files = json_files(root)
    found = [file for file in files if split in splits_of(file)]
    preferred = [file for file in found if _PREFERRED in _words(file.stem)]
    if len(found) > 1 and len(preferred) == 1:
        found = preferred
    advice = f'give --{split}-ann FILE'
    if options == 'none':
        advice = f'name one file in COCO format after it, such as {split}.json'
    if not found and only:
        found = [file for file in files if is_coco(root / file)]
    if len(found) > 1:
        raise UserValueError(
            f'--data-root {root}: {len(found)} annotation files could be '
            f'meant for {split} ({listed(found)}); {advice}'
        )
    if options == 'all' and split == 'val':
        advice += ' or --no-val to train without'
    if not found:
        raise UserValueError(
            f'--data-root {root}: no annotation file of {split} there'
            f'{contents(root)}; {advice}'
        )
    if len(splits_of(found[0])) > 1 and not only:
        raise UserValueError(
            f'--data-root {root}: {found[0]} is named after several splits, '
            f'and a detector must not be evaluated on its training images; '
            f'{advice}'
        )
    return root / found[0]


def find_test_files(root: Path) -> list[Path]:
    """List the JSON files that belong to a test split, below the folder."""
    return [file for file in json_files(root) if splits_of(file) == {'test'}]


def json_files(root: Path) -> list[Path]:
    """List the JSON files below a folder, relative to it; follow links.

    Hidden files and folders, such as ``.ipynb_checkpoints``, do not count,
    nor do copies that an earlier run has written, and folders of battles.
    """
    found = []
    for folder, folders, names in os.walk(root, followlinks=True):
        if BATTLE in names and 'data' in folders:
            folders.clear()  # the walk goes no deeper
            continue
        # Most files of a folder are images, of which no path is made.
        found += [
            Path(folder, name).relative_to(root)
            for name in names
            if name.lower().endswith('.json')
        ]
    return sorted(
        file
        for file in found
        if not any(part.startswith('.') for part in file.parts)
        and not file.stem.endswith(COPY)
    )


def contents(root: Path) -> str:
    """Say in parentheses which JSON files a folder has."""
    return f' ({root} has {listed(json_files(root)) or "no JSON file"})'


def splits_of(file: Path) -> set[str]:
    """Tell which splits the name of a file, or its nearest folder, names."""
    for part in (file.stem, *reversed(file.parent.parts)):
        words = _words(part)
        named = {s for s, names in SPLITS.items() if words & {*names}}
        if words & {'trainval', 'traintest'}:
            named |= {'train', 'val'}
        if named:
            return named
    return set()


def _words(name: str) -> set[str]:
    """List the words of a name: ``valSplit_2017`` has val and split."""
    parts = re.findall(r'[^\W\d_]+', name)
    cased = re.compile('[A-Z]+(?![a-z])|[A-Z]?[a-z]+')
    words = [word for part in parts for word in cased.findall(part)]
    return {word.lower() for word in [*words, *parts]}
