"""Check a COCO annotation file before anything is trained on it.

A mistake in the file would otherwise show up hours later, as a crash deep in
a worker process, or never, as wrong labels.  From a shell, to see all of
them::

    python -m cbnet.datasets.coco_check FILE --images FOLDER
"""

import argparse
import difflib
import json
import math
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import UserValueError
from .coco_segmentation import segmentation_problem

#: Pixels by which a box may reach over the border of its image: annotation
#: tools round, and COCO's own files do it by a fraction of a pixel.
TOLERANCE = 1.0
_LISTS = ('images', 'annotations', 'categories')


def read_coco(path: str | os.PathLike) -> dict[str, Any]:
    """Read an annotation file; its three lists are there.

    Raises:
        ValueError: the file is missing, is not JSON, or is no COCO file.
    """
    path = Path(path)
    if not path.is_file():
        kind = 'is a folder' if path.is_dir() else 'is not there'
        raise UserValueError(
            f'{path}: the annotation file {kind}; expected a file in COCO '
            f'format{_beside(path)}'
        )
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise UserValueError(
            f'{path}: not JSON ({error}); expected a COCO annotation file; '
            'export it again or copy it anew'
        ) from None
    if not isinstance(content, dict):
        raise UserValueError(
            f'{path}: holds a {type(content).__name__}, expected a dict with '
            f'the lists {", ".join(_LISTS)} (a list is a results file)'
        )
    for name in _LISTS:
        entries = content.get(name)
        if not isinstance(entries, list) or not all(
            isinstance(entry, dict) for entry in entries
        ):
            found = 'nothing' if entries is None else type(entries).__name__
            raise UserValueError(
                f'{path}: {name} is {found}, expected a list of dicts as in '
                'COCO annotation files'
            )
    return content


def _beside(path: Path) -> str:
    if not path.parent.is_dir():
        return f'; there is no folder {path.parent} either'
    files = sorted(file.name for file in path.parent.glob('*.json'))
    return f'; {path.parent} has {", ".join(files[:5]) or "no JSON file"}'


def check_coco(
    path: str | os.PathLike,
    images: str | os.PathLike | None = None,
    classes: Sequence[str] | None = None,
    needs_masks: bool = False,
) -> dict[str, Any]:
    """Check an annotation file, and that its images are there.

    Args:
        path: the annotation file.
        images: folder that the file names of the images are below; None
            leaves the images alone.
        classes: names that the data set asks for, in the order of its
            labels; None: those of the file.
        needs_masks: whether every annotation needs a segmentation.

    Returns:
        The content of the file.

    Raises:
        ValueError: names the file, the first entry that is wrong, what was
            expected and what to do, and counts the others.
    """
    content = read_coco(path)
    problems = list(find_problems(content, images, classes, needs_masks))
    if problems:
        others = ''
        if len(problems) > 1:
            others = (
                f' (and {len(problems) - 1} more: python -m {__name__} '
                f'{path}{f" --images {images}" if images else ""})'
            )
        raise UserValueError(f'{path}: {problems[0]}{others}')
    return content


def find_problems(
    content: dict[str, Any],
    images: str | os.PathLike | None = None,
    classes: Sequence[str] | None = None,
    needs_masks: bool = False,
) -> Iterator[str]:
    """Give what is wrong with the content of a file, one line each."""
    yield from _categories(content['categories'], classes)
    known = {}
    if not content['images']:
        yield 'images is empty, expected at least one image'
    for where, image in _entries(content, 'images'):
        problem = _image_problem(image, images)
        if problem:
            yield f'{where}: {problem}'
        known[_id(image)] = image
    names = {_id(category) for category in content['categories']} - {None}
    for where, annotation in _entries(content, 'annotations'):
        problem = _annotation_problem(annotation, known, names, needs_masks)
        if problem:
            yield f'{where}: {problem}'
    for name in _LISTS:
        for value, count in Counter(map(_id, content[name])).items():
            if value is None:
                yield (
                    f'{name}: {count} entries have no id (or one that is no '
                    'number), expected an id each; number them'
                )
            elif count > 1:
                yield (
                    f'{name}: the id {value!r} occurs {count} times, '
                    'expected ids that occur once; number them anew'
                )


def _id(entry: dict, key: str = 'id') -> int | str | None:
    value = entry.get(key)
    return value if isinstance(value, int | str) else None


def _entries(content: dict, name: str) -> Iterator[tuple[str, dict]]:
    for number, entry in enumerate(content[name]):
        yield f'{name}[{number}] (id {entry.get("id")!r})', entry


def _categories(
    categories: list[dict], classes: Sequence[str] | None
) -> Iterator[str]:
    names = [category.get('name') for category in categories]
    if not names:
        yield 'categories is empty, expected at least one with id and name'
        return
    for name, count in Counter(names).items():
        if count > 1 or not isinstance(name, str):
            yield (
                f'categories: the name {name!r} occurs {count} times, '
                'expected one category for each name; rename or join them'
            )
    if classes is None:
        return
    for name in classes:
        if name not in names:
            near = difflib.get_close_matches(name, map(str, names), 3)
            near = f'did you mean {" or ".join(near)}? ' if near else ''
            yield (
                f'declares no category {name!r}, which metainfo.classes of '
                f'the data set names; {near}It declares: '
                f'{", ".join(map(str, names[:10]))}'
            )
    # mmdet numbers the labels in the file's order, whatever the order of
    # metainfo.classes is: the names would be exchanged without a word.
    order = [name for name in names if name in classes]
    if sorted(order) == sorted(classes) and order != list(classes):
        yield (
            f'categories are in the order {", ".join(order[:10])}, '
            f'metainfo.classes in the order {", ".join(classes[:10])}; mmdet '
            'takes the order of the file, so names would be exchanged: give '
            "metainfo.classes the file's order"
        )


def _image_problem(image: dict, folder: str | os.PathLike | None) -> str:
    name = image.get('file_name')
    if not isinstance(name, str) or not name:
        return f'file_name is {name!r}, expected the name of an image file'
    for key in ('width', 'height'):
        if not _is_number(image.get(key)) or image[key] < 1:
            return (
                f'{key} of {name} is {image.get(key)!r}, expected the number '
                'of pixels'
            )
    if folder is not None and not Path(folder, name).is_file():
        return (
            f'the image {Path(folder, name)} is not there; put it there, or '
            'give the folder that the file names are below'
        )
    return ''


def _annotation_problem(
    annotation: dict, images: dict, categories: set, needs_masks: bool
) -> str:
    image = images.get(_id(annotation, 'image_id'))
    if image is None:
        return (
            f'image_id is {annotation.get("image_id")!r}, no id of an image '
            'of this file; remove the annotation or add the image'
        )
    if _id(annotation, 'category_id') not in categories:
        return (
            f'category_id is {annotation.get("category_id")!r}, expected one '
            f'of {sorted(map(str, categories))[:10]}; mend it or declare it'
        )
    return (
        _box_problem(annotation, image)
        or segmentation_problem(annotation, image, needs_masks)
        or ''
    )


def _box_problem(annotation: dict, image: dict) -> str:
    box = annotation.get('bbox')
    if (
        not isinstance(box, list)
        or len(box) != 4
        or not all(map(_is_number, box))
    ):
        return f'bbox is {box!r}, expected four numbers: x, y, width, height'
    x, y, width, height = box
    if width < 0 or height < 0:
        return (
            f'bbox {box} has a negative size, expected x, y, width, height; '
            'are these two corners?'
        )
    if not _is_number(annotation.get('area')):
        return (
            f'area is {annotation.get("area")!r}, expected the pixels of the '
            'object (of its box, where there is no mask)'
        )
    sides = image.get('width'), image.get('height')
    if not all(map(_is_number, sides)):
        return ''  # said of the image already
    outside = max(-x, -y, x + width - sides[0], y + height - sides[1])
    if outside > TOLERANCE:
        corners = ' (x, y, width, height; are these two corners?)'
        return (
            f'bbox {box} reaches {outside:g} pixels outside its image '
            f'{image.get("file_name")} of {sides[0]}x{sides[1]}, expected a '
            f'box inside it{corners}; clip or remove it'
        )
    return ''


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
    )


def main() -> None:
    """Print everything that is wrong with a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('file', help='annotation file in COCO format')
    parser.add_argument(
        '--images', metavar='FOLDER', help='folder of its images'
    )
    parser.add_argument(
        '--masks',
        action='store_true',
        help='every annotation needs a segmentation',
    )
    args = parser.parse_args()
    try:
        content = read_coco(args.file)
    except ValueError as error:
        parser.error(str(error))
    problems = list(
        find_problems(content, args.images, needs_masks=args.masks)
    )
    lines = [*problems, f'{args.file}: {len(problems)} problems']
    sys.stdout.write('\n'.join(lines) + '\n')
    sys.exit(bool(problems))


if __name__ == '__main__':
    main()
