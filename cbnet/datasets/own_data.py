"""Find the parts of a user's own data set: files, folders, classes."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from ..atomic_files import write_whole
from ..errors import UserValueError
from ..messages import listed
from .annotations import read_coco, read_once, starts_with_mark
from .areas import leave_out_nothings
from .coco_check import check_content
from .repairs import repair
from .split_files import (
    COPY,
    SPLITS,
    KnownOptions,
    contents,
    find_split_file,
    find_test_files,
    splits_of,
)

# What helps if a file would be trained on and evaluated on.
_BOTH = (
    'name this file with both --train-ann and --val-ann if that is what you '
    'want'
)
_OTHER_FILE = {
    'all': f'give another --val-ann, or --no-val, or {_BOTH}',
    'files': f'give another --val-ann, or {_BOTH}',
    'none': 'give the two splits files of their own',
}


@dataclass(frozen=True)
class Split:
    """One split of a data set in COCO format.

    Attributes:
        annotations: the annotation file.
        images: the folder that contains the images.
        classes: the names of the categories in the order of the file.
        maskless: the number of annotations without a segmentation.
        repairs: what was repaired in the content of the file, a line each.
        content: the content, repaired.
    """

    annotations: Path
    images: Path
    classes: tuple[str, ...]
    maskless: int
    repairs: tuple[str, ...]
    content: dict[str, Any] = field(repr=False)


@dataclass(frozen=True)
class OwnData:
    """The splits to train on and to evaluate on, if there is an evaluation.

    Attributes:
        train: the split to train on.
        val: the split to evaluate on, or None.
        notes: what the user must know about them, one line each.
    """

    train: Split
    val: Split | None
    notes: tuple[str, ...] = ()


@read_once()
def find_own_data(
    root: str | os.PathLike,
    train_ann: str | None = None,
    val_ann: str | None = None,
    train_img: str | None = None,
    val_img: str | None = None,
    validate: bool = True,
    skip_missing: bool = False,
    options: KnownOptions = 'all',
) -> OwnData:
    """Find and check a data set; look for the parts that are not given.

    Args:
        root: the folder of the data set.
        train_ann: the annotation file to train on, relative to the root or
            to the working directory.
        val_ann: the annotation file to evaluate on, found the same way.
        train_img: the folder of the training images, found the same way.
        val_img: the folder of the validation images, found the same way.
        validate: whether to look for a split to evaluate on.
        skip_missing: whether to leave out images that are not there.
        options: the options of the command, which errors may name.

    Raises:
        ValueError: something is missing, ambiguous or wrong; the message
            names the option that settles it, if there are such options.
    """
    root = Path(root)
    if not root.is_dir():
        raise UserValueError(f'--data-root: no folder {root}')
    find = partial(_split, root, skip=skip_missing, options=options)
    train = find('train', train_ann, train_img, only=not validate)
    if not validate:
        return OwnData(train, None, _unused(root, train))
    val = find('val', val_ann, val_img)
    notes: tuple[str, ...] = ()
    if val.annotations.samefile(train.annotations):
        if not (train_ann and val_ann):
            raise UserValueError(
                f'{val.annotations} would be trained on and evaluated on, so '
                f'its AP would not tell how the detector does on new images; '
                f'{_OTHER_FILE[options]}'
            )
        notes = (
            'the AP will be that on the training images, which does not tell '
            'how the detector does on new ones',
        )
    foreign = [name for name in val.classes if name not in train.classes]
    if foreign:
        raise UserValueError(
            f'{val.annotations}: declares {listed(foreign)}, which '
            f'{train.annotations} does not (it declares '
            f'{listed(train.classes, 10)}); both need the same categories'
        )
    return OwnData(train, val, (*notes, *_unused(root, train, val)))


def _unused(root: Path, *used: Split) -> tuple[str, ...]:
    """Name the annotation files of test splits that are not used."""
    return tuple(
        f'not used: {root / file}, the annotations of a test split'
        for file in find_test_files(root)
        if not any(split.annotations.samefile(root / file) for split in used)
    )


def _split(
    root: Path,
    name: str,
    annotations: str | None,
    images: str | None,
    only: bool = False,
    skip: bool = False,
    options: KnownOptions = 'all',
) -> Split:
    file = _below(root, annotations) or find_split_file(
        root, name, only, options
    )
    if not file.is_file():
        raise UserValueError(f'--{name}-ann: no file {file}{contents(root)}')
    content = read_coco(file)
    folder = _below(root, images) or _look_for_images(
        root, name, file, content, options
    )
    if not folder.is_dir():
        raise UserValueError(f'--{name}-img: no folder {folder}')
    content, repairs = repair(content, folder, skip)
    if starts_with_mark(file):
        repairs.append('a byte order mark is left out')
    check_content(content, file, folder)
    content, lines = leave_out_nothings(content, name == 'train')
    repairs += lines
    classes = tuple(entry['name'] for entry in content['categories'])
    maskless = sum(not a.get('segmentation') for a in content['annotations'])
    return Split(file, folder, classes, maskless, tuple(repairs), content)


def _below(root: Path, given: str | None) -> Path | None:
    if given is None:
        return None
    inside, outside = root / given, Path(given)
    return outside if outside.exists() and not inside.exists() else inside


def _look_for_images(
    root: Path,
    name: str,
    file: Path,
    content: dict[str, Any],
    options: KnownOptions,
) -> Path:
    """Take the first likely folder that contains one of the first images."""
    # A test split may be evaluated on in place of the validation split, whose
    # images may have the same names.
    named = splits_of(Path(file.name))
    others = sorted(named) if name not in named else []
    words = [word for one in (*others, name) for word in SPLITS[one]]
    patterns = '{}', 'images/{}', '{}/images'
    likely = [
        file.parent,
        *(root / p.format(word) for p in patterns for word in words),
        root / 'images',
        root,
        # such as train2017, whose annotations are instances_train2017.json
        *sorted(
            p for p in root.iterdir() if p.is_dir() and p.name in file.stem
        ),
    ]
    names = [str(entry.get('file_name')) for entry in content['images'][:50]]
    names += [n.replace('\\', '/') for n in names if '\\' in n]
    # Path.is_file() raises an error if a name is too long.
    for folder in likely:
        if not names or any(os.path.isfile(folder / one) for one in names):
            return folder
    advice = f'give --{name}-img FOLDER, the folder that contains the images'
    if options == 'none':
        advice = f'put them into the folder {root / words[0]}'
    raise UserValueError(
        f'{file}: no folder below {root} contains its first images, such as '
        f'{names[0]!r}; {advice}'
    )


def written(
    split: Split, classes: tuple[str, ...], folder: str | os.PathLike
) -> Split:
    """Give a split whose file mmdet reads as it is meant.

    mmdet numbers labels in the order of the file it reads: with categories
    in another order, or with some missing, it would evaluate wrong names.
    Then, and after repairs, a copy of the annotation file is written.

    Args:
        split: the split.
        classes: the names in the order of the labels.
        folder: the folder for the copy.

    Returns:
        The split itself, or one with the copy.
    """
    if split.classes == classes and not split.repairs:
        return split
    content = with_classes(split.content, classes)
    copy = Path(folder, f'{split.annotations.stem}{COPY}.json')
    # All processes of a distributed run write the same content. A file that
    # appears at once is whole for each of them.
    write_whole(copy, json.dumps(content).encode())
    return replace(split, annotations=copy, classes=classes)


def with_classes(
    content: dict[str, Any], classes: Sequence[str]
) -> dict[str, Any]:
    """Give the content of a COCO file with its categories in another order.

    Args:
        content: the content.
        classes: the names in the order that is wanted; names that the
            content has not are added.
    """
    known = {entry['name']: entry for entry in content['categories']}
    free = max((entry['id'] for entry in known.values()), default=0) + 1
    return content | dict(
        categories=[
            known.get(name) or dict(id=free + number, name=name)
            for number, name in enumerate(classes)
        ]
    )
