"""Check a COCO annotation file before anything is trained on it.

Otherwise a mistake in the file would appear hours later, as a crash deep in
a worker process, or never, as wrong labels. This lists all of them::

    python -m cbnet.datasets.coco_check FILE --images FOLDER
"""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import UserValueError
from ..messages import did_you_mean, listed
from .annotations import LISTS, read_coco
from .coco_entries import box_problem, is_number, mask_problem, number_problem

#: Pixels by which a box may reach over the border of its image: annotation
#: tools round, and COCO's own files do so by a fraction of a pixel.
TOLERANCE = 1.0


def check_coco(
    path: str | os.PathLike,
    images: str | os.PathLike | None = None,
    classes: Sequence[str] | None = None,
    needs_masks: bool = False,
) -> dict[str, Any]:
    """Check an annotation file, and that its images exist.

    Args:
        path: the annotation file.
        images: the folder that contains the images; None skips the images.
        classes: the names that the data set asks for, in the order of its
            labels; None for those of the file.
        needs_masks: whether every annotation needs a segmentation.

    Returns:
        The content of the file.

    Raises:
        ValueError: names the file, the first entry that is wrong, what was
            expected and what to do, and counts the other mistakes.
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
    """Yield one line for each mistake in the content of a file."""
    yield from _category_problems(content['categories'], classes)
    if not content['images']:
        yield 'images is empty, expected at least one image'
    for where, image in entries(content, 'images'):
        problem = _image_problem(image, images)
        if problem:
            yield f'{where}: {problem}'
    known, declared = by_id(content, 'images'), by_id(content, 'categories')
    for where, annotation in entries(content, 'annotations'):
        problem = annotation_problem(annotation, known, declared)
        if not problem:
            image = known[annotation['image_id']]
            problem = _size_problem(annotation['bbox'], image)
            problem = problem or mask_problem(annotation, image)
        if not problem and needs_masks and not annotation.get('segmentation'):
            problem = (
                'has no segmentation, which a detector with masks learns '
                'from; add it, or use a detector that predicts only boxes'
            )
        if problem:
            yield f'{where}: {problem}'
    yield from id_problems(content)


def entries(content: dict[str, Any], name: str) -> Iterator[tuple[str, dict]]:
    """Yield the entries of one list, each with its place for messages."""
    for number, entry in enumerate(content[name]):
        yield f'{name}[{number}] (id {entry.get("id")!r})', entry


def by_id(content: dict[str, Any], name: str) -> dict[int | str, dict]:
    """Map the ids of one list to its entries, without invalid ids."""
    found = {_id(entry): entry for entry in content[name]}
    found.pop(None, None)
    return found


def _id(entry: dict, key: str = 'id') -> int | str | None:
    value = entry.get(key)
    return value if isinstance(value, int | str) else None


def id_problems(
    content: dict[str, Any], only_integers: bool = False
) -> Iterator[str]:
    """Check that every entry has an id, and that ids occur once."""
    kinds = int if only_integers else int | str
    for name in LISTS:
        ids = [entry.get('id') for entry in content[name]]
        ids = [value if isinstance(value, kinds) else None for value in ids]
        for value, count in Counter(ids).items():
            if value is None:
                where = ids.index(None)
                yield (
                    f'{name}[{where}]: id is '
                    f'{content[name][where].get("id")!r}, expected an '
                    f'integer ({count} entries have none); number the entries'
                )
            elif count > 1:
                where = ids.index(value, ids.index(value) + 1)
                yield (
                    f'{name}[{where}]: the id {value!r} occurs {count} '
                    'times, expected ids that occur once; renumber the '
                    'entries'
                )


def annotation_problem(
    annotation: dict[str, Any],
    images: dict[int | str, dict],
    categories: dict[int | str, dict],
) -> str:
    """Check what training and evaluation alike need of an annotation.

    Args:
        annotation: the entry.
        images: the entries of the images by id.
        categories: the entries of the categories by id.

    Returns:
        One sentence, or an empty string.
    """
    if _id(annotation, 'image_id') not in images:
        return (
            f'image_id is {annotation.get("image_id")!r}, which is not the '
            'id of an image of this file; remove the annotation or add the '
            'image'
        )
    if _id(annotation, 'category_id') not in categories:
        return (
            f'category_id is {annotation.get("category_id")!r}, expected one '
            f'of {listed(sorted(map(str, categories)), 10)}; correct it or '
            'declare it'
        )
    return box_problem(annotation) or number_problem(
        annotation,
        'area',
        'expected the number of pixels of the object (of its box, if it has '
        'no mask), which tells small objects from large ones',
    )


def _category_problems(
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
    declared = list(map(str, names))
    for name in classes:
        if name not in names:
            yield (
                f'declares no category {name!r}, which metainfo.classes of '
                f'the data set names{did_you_mean(name, declared)}; it '
                f'declares {listed(declared, 10)}'
            )
    # mmdet numbers the labels in the file's order, whatever the order of
    # metainfo.classes is: the names would be swapped silently.
    order = [name for name in names if name in classes]
    if sorted(order) == sorted(classes) and order != list(classes):
        yield (
            f'categories are in the order {listed(order, 10)}, '
            f'metainfo.classes in the order {listed(classes, 10)}; mmdet '
            'uses the order of the file, so names would be swapped: give '
            'metainfo.classes in the order of the file'
        )


def _image_problem(image: dict, folder: str | os.PathLike | None) -> str:
    name = image.get('file_name')
    if not isinstance(name, str) or not name:
        return f'file_name is {name!r}, expected the name of an image file'
    for key in ('width', 'height'):
        if not is_number(image.get(key)) or image[key] < 1:
            return (
                f'{key} of {name} is {image.get(key)!r}, expected the number '
                'of pixels'
            )
    if folder is not None and not Path(folder, name).is_file():
        return (
            f'the image {Path(folder, name)} is not there; put it there, or '
            'name the folder that contains the images'
        )
    return ''


def _size_problem(box: Sequence[float], image: dict) -> str:
    x, y, width, height = box
    if width < 0 or height < 0:
        return (
            f'bbox {box} has a negative size, expected x, y, width, height; '
            'are these two corners?'
        )
    sides = image.get('width'), image.get('height')
    if not all(map(is_number, sides)):
        return ''  # reported for the image
    outside = max(-x, -y, x + width - sides[0], y + height - sides[1])
    if outside > TOLERANCE:
        return (
            f'bbox {box} reaches {outside:g} pixels outside its image '
            f'{image.get("file_name")} of {sides[0]}x{sides[1]}, expected a '
            'box inside it (x, y, width, height; are these two corners?); '
            'clip or remove it'
        )
    return ''


def main() -> None:
    """Print everything that is wrong with a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add('file', help='the annotation file in COCO format')
    add('--images', metavar='FOLDER', help='the folder of its images')
    add('--masks', action='store_true', help='require masks everywhere')
    args = parser.parse_args()
    try:
        content = read_coco(args.file)
    except ValueError as error:
        parser.error(str(error))
    problems = [*find_problems(content, args.images, needs_masks=args.masks)]
    lines = [*problems, f'{args.file}: {len(problems)} problems']
    sys.stdout.write('\n'.join(lines) + '\n')
    sys.exit(bool(problems))


if __name__ == '__main__':
    main()
