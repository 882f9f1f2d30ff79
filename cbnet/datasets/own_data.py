"""Find the parts of a user's own data set: files, folders, classes."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.utils import scandir

from ..atomic_files import write_whole
from ..errors import UserValueError
from ..messages import listed
from .annotations import read_coco, read_once
from .coco_check import check_coco

# How exporters name a split, and a folder of its images.
_SPLITS = {'train': ('train',), 'val': ('val', 'valid', 'validation')}


@dataclass(frozen=True)
class Split:
    """One split of a data set.

    Attributes:
        annotations: the annotation file in COCO format.
        images: the folder that contains the images.
        has_masks: whether every annotation has a segmentation.
    """

    annotations: Path
    images: Path
    has_masks: bool


@dataclass(frozen=True)
class OwnData:
    """A data set in COCO format.

    Attributes:
        root: the folder of the data set.
        classes: the names in the order of the training file's categories.
        train: the split to train on.
        val: the split to evaluate on; None for no evaluation.
    """

    root: Path
    classes: tuple[str, ...]
    train: Split
    val: Split | None


@read_once()
def find_own_data(
    root: str | os.PathLike,
    train_ann: str | None = None,
    val_ann: str | None = None,
    train_img: str | None = None,
    val_img: str | None = None,
    validate: bool = True,
) -> OwnData:
    """Find and check a data set; look for the parts that are not given.

    Args:
        root: the folder of the data set.
        train_ann: the annotation file to train on, relative to the root or
            to the working directory.
        val_ann: the annotation file to evaluate on, found the same way.
        train_img: the folder of the training images, found the same way.
        val_img: the folder of the validation images, found the same way.
        validate: whether there is a split to evaluate on.

    Raises:
        ValueError: something is missing, ambiguous or wrong; the message
            names the option that settles it.
    """
    root = Path(root)
    if not root.is_dir():
        raise UserValueError(f'--data-root: no folder {root}')
    train, classes = _split(root, 'train', train_ann, train_img)
    if not validate:
        return OwnData(root, classes, train, None)
    val, declared = _split(root, 'val', val_ann, val_img)
    foreign = [name for name in declared if name not in classes]
    if foreign:
        raise UserValueError(
            f'{val.annotations}: declares {listed(foreign)}, which '
            f'{train.annotations} does not (it declares '
            f'{listed(classes, 10)}); both need the same categories'
        )
    return OwnData(root, classes, train, val)


def _split(
    root: Path, name: str, annotations: str | None, images: str | None
) -> tuple[Split, tuple[str, ...]]:
    """Find and check one split; give it with the names of its categories."""
    if annotations is None:
        file = _look_for_annotations(root, name)
    else:
        file = _below(root, annotations)
        if not file.is_file():
            raise UserValueError(
                f'--{name}-ann: no file {file}{_contents(root)}'
            )
    content = read_coco(file)
    if images is None:
        folder = _look_for_images(root, name, file, content)
    else:
        folder = _below(root, images)
        if not folder.is_dir():
            raise UserValueError(f'--{name}-img: no folder {folder}')
    check_coco(file, folder)
    has_masks = all(a.get('segmentation') for a in content['annotations'])
    classes = tuple(entry['name'] for entry in content['categories'])
    return Split(file, folder, has_masks), classes


def _below(root: Path, given: str) -> Path:
    inside, outside = root / given, Path(given)
    return outside if outside.exists() and not inside.exists() else inside


def _look_for_annotations(root: Path, name: str) -> Path:
    """Take the one JSON file whose name, or folder, names the split."""
    words = _SPLITS[name]
    found = [
        file
        for file in _json_files(root)
        if any(word in file.stem.lower() for word in words)
        or file.parent.name.lower() in words
    ]
    if len(found) == 1:
        return root / found[0]
    option = f'--{name}-ann FILE'
    if found:
        raise UserValueError(
            f'--data-root {root}: {len(found)} annotation files could be '
            f'meant for {name} ({listed(found)}); give {option}'
        )
    without = ' or --no-val to train without' if name == 'val' else ''
    raise UserValueError(
        f'--data-root {root}: no annotation file of {name} there'
        f'{_contents(root)}; give {option}{without}'
    )


def _json_files(root: Path) -> list[Path]:
    """List the JSON files below a folder, relative to it; follow links."""
    return sorted(map(Path, scandir(str(root), '.json', recursive=True)))


def _contents(root: Path) -> str:
    return f' ({root} has {listed(_json_files(root)) or "no JSON file"})'


def _look_for_images(
    root: Path, name: str, file: Path, content: dict[str, Any]
) -> Path:
    """Take the first likely folder that contains the first image."""
    words = _SPLITS[name]
    likely = [
        file.parent,
        *(root / word for word in words),
        *(root / 'images' / word for word in words),
        *(root / word / 'images' for word in words),
        root / 'images',
        root,
        # such as train2017, whose annotations are instances_train2017.json
        *sorted(
            p for p in root.iterdir() if p.is_dir() and p.name in file.stem
        ),
    ]
    first = str(next(iter(content['images']), {}).get('file_name'))
    for folder in likely:
        if (folder / first).is_file():
            return folder
    raise UserValueError(
        f'{file}: no folder below {root} contains its first image {first!r}; '
        f'give --{name}-img FOLDER, the folder that contains the images'
    )


def annotations_for_evaluation(
    split: Split, classes: Sequence[str], folder: str | os.PathLike
) -> Path:
    """Give an annotation file that COCO's and mmdet's evaluation understand.

    mmdet numbers labels in the order of the file it reads. A validation file
    that lists the categories in another order, or lacks some, would be
    evaluated with the wrong names. COCO's evaluation takes the annotation id
    0 for "no match", so that this object is never found. In both cases, a
    copy is written with the categories in the order of the classes, and
    annotation ids from 1; the other ids stay.

    Args:
        split: the split to evaluate on.
        classes: the names in the order of the labels.
        folder: the folder for the copy.

    Returns:
        The file itself, or its copy.
    """
    content = read_coco(split.annotations)
    annotations = content['annotations']
    categories = {entry['name']: entry for entry in content['categories']}
    from_zero = any(entry['id'] == 0 for entry in annotations)
    if list(categories) == list(classes) and not from_zero:
        return split.annotations
    free = max((c['id'] for c in categories.values()), default=0) + 1
    changed = [
        categories.get(name) or dict(id=free + number, name=name)
        for number, name in enumerate(classes)
    ]
    if from_zero:
        annotations = [
            entry | dict(id=number)
            for number, entry in enumerate(annotations, start=1)
        ]
    content = content | dict(categories=changed, annotations=annotations)
    copy = Path(folder, f'{split.annotations.stem}_for_evaluation.json')
    # All processes of a distributed run write the same content; each of them
    # reads a whole file.
    write_whole(copy, json.dumps(content).encode())
    return copy
