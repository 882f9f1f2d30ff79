"""Find the parts of somebody's own data set: files, folders, classes."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.utils import scandir

from ..atomic_files import write_whole
from ..errors import UserValueError
from .coco_check import check_coco, read_coco

# What exporters name the validation part, and a folder of images.
_SPLITS = {'train': ('train',), 'val': ('val', 'valid', 'validation')}


@dataclass(frozen=True)
class Split:
    """One part of a data set.

    Attributes:
        annotations: file in COCO format.
        images: folder that its file names are below.
        has_masks: whether every annotation has a segmentation.
    """

    annotations: Path
    images: Path
    has_masks: bool


@dataclass(frozen=True)
class OwnData:
    """A data set in COCO format.

    Attributes:
        root: the folder it lies in.
        classes: names in the order of the categories of the train file.
        train: what is trained on.
        val: what is evaluated on; None for no evaluation.
    """

    root: Path
    classes: tuple[str, ...]
    train: Split
    val: Split | None


def find_own_data(
    root: str | os.PathLike,
    train_ann: str | None = None,
    val_ann: str | None = None,
    train_img: str | None = None,
    val_img: str | None = None,
    validate: bool = True,
) -> OwnData:
    """Find and check a data set; what is not named is looked for.

    Args:
        root: its folder.
        train_ann: annotation file to train on, below root or as it is.
        val_ann: annotation file to evaluate on, alike.
        train_img: folder that the train file's names are below, alike.
        val_img: the same for the val file.
        validate: whether there is a part to evaluate on.

    Raises:
        ValueError: something is missing, ambiguous or wrong; the message
            names the option that settles it.
    """
    root = Path(root)
    if not root.is_dir():
        raise UserValueError(f'--data-root: no folder {root}')
    train, content = _split(root, 'train', train_ann, train_img)
    classes = tuple(entry['name'] for entry in content['categories'])
    val = None
    if validate:
        val, content = _split(root, 'val', val_ann, val_img)
        foreign = [
            entry['name']
            for entry in content['categories']
            if entry['name'] not in classes
        ]
        if foreign:
            raise UserValueError(
                f'{val.annotations}: declares {", ".join(foreign[:5])}, '
                f'which {train.annotations} does not (it declares '
                f'{", ".join(classes[:10])}); both need the same categories'
            )
    return OwnData(root, classes, train, val)


def _split(
    root: Path, name: str, annotations: str | None, images: str | None
) -> tuple[Split, dict[str, Any]]:
    option = f'--{name}-ann'
    if annotations is None:
        file = _look_for_annotations(root, name)
    else:
        file = _below(root, annotations)
        if not file.is_file():
            raise UserValueError(f'{option}: no file {file}{_listed(root)}')
    content = read_coco(file)
    if images is None:
        folder = _look_for_images(root, name, file, content)
    else:
        folder = _below(root, images)
        if not folder.is_dir():
            raise UserValueError(f'--{name}-img: no folder {folder}')
    check_coco(file, folder)
    has_masks = all(a.get('segmentation') for a in content['annotations'])
    return Split(file, folder, has_masks), content


def _below(root: Path, given: str) -> Path:
    inside, outside = root / given, Path(given)
    return outside if outside.exists() and not inside.exists() else inside


def _look_for_annotations(root: Path, name: str) -> Path:
    """Take the one JSON file whose name, or folder, says what it is."""
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
    if not found:
        without = ' or --no-val to train without' if name == 'val' else ''
        raise UserValueError(
            f'--data-root {root}: no annotation file of {name} there'
            f'{_listed(root)}; give {option}{without}'
        )
    raise UserValueError(
        f'--data-root {root}: {len(found)} annotation files could be meant '
        f'for {name} ({", ".join(map(str, found[:5]))}); give {option}'
    )


def _json_files(root: Path) -> list[Path]:
    return sorted(map(Path, scandir(str(root), '.json', recursive=True)))


def _listed(root: Path) -> str:
    files = [str(file) for file in _json_files(root)]
    return f' ({root} has {", ".join(files[:6]) or "no JSON file"})'


def _look_for_images(
    root: Path, name: str, file: Path, content: dict[str, Any]
) -> Path:
    """Take the first likely folder that holds the first image."""
    words = _SPLITS[name]
    likely = [
        file.parent,
        *(root / word for word in words),
        *(root / 'images' / word for word in words),
        *(root / word / 'images' for word in words),
        root / 'images',
        root,
        # train2017 and the like, as the annotation file is called
        *sorted(
            path
            for path in root.iterdir()
            if path.is_dir() and path.name in file.stem
        ),
    ]
    first = str(next(iter(content['images']), {}).get('file_name'))
    for folder in likely:
        if (folder / first).is_file():
            return folder
    raise UserValueError(
        f'{file}: no folder below {root} holds its first image {first!r}; '
        f'give --{name}-img FOLDER, the folder that its file names are below'
    )


def annotations_for_evaluation(
    split: Split, classes: Sequence[str], folder: str | os.PathLike
) -> Path:
    """Give an annotation file that COCO's and mmdet's evaluation understand.

    mmdet numbers labels in the order of the file it reads, so a validation
    file that lists the categories in another order, or lacks some, would be
    evaluated against exchanged names; and COCO's evaluation takes the
    annotation id 0 for "no match", so that this object is never found.
    Where that is so, a copy is written with the categories in the order of
    the classes, and ids of annotations from 1; their other ids stay.

    Args:
        split: the part whose file is wanted.
        classes: names in the order of the labels.
        folder: where a copy goes.

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
    content['categories'] = [
        categories.get(name) or dict(id=free + number, name=name)
        for number, name in enumerate(classes)
    ]
    if from_zero:
        for number, entry in enumerate(annotations, start=1):
            entry['id'] = number
    copy = Path(folder, f'{split.annotations.stem}_for_evaluation.json')
    # Every process of a distributed run writes the same; each reads it whole.
    write_whole(copy, json.dumps(content).encode())
    return copy
