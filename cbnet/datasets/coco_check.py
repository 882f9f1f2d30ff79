"""Check a COCO annotation file before anything is trained on it.

Otherwise a mistake in the file would appear hours later, as a crash deep in
a worker process, or never, as wrong labels. List all mistakes of a file::

    python -m cbnet.datasets.coco_check FILE --images FOLDER
"""

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import UserValueError
from ..messages import one_line
from .annotations import LISTS, is_noted, note, read_coco
from .areas import area_problem
from .boxes_only import CONFIG
from .coco_entries import (
    BOX,
    CROWD,
    IGNORE,
    PIXELS,
    Check,
    Rule,
    is_id,
    is_number,
    reference_rules,
    wrong_entries,
)
from .coco_lists import by_id, class_problems, crowd_problem, repeated_ids
from .coco_masks import mask_problem
from .image_sizes import size_problems

#: Pixels by which a box may reach over the border of its image: annotation
#: tools round, and COCO's own files do so by a fraction of a pixel.
TOLERANCE = 1.0
_NO_MASK = (
    f'has no segmentation, which a detector with masks learns from; add it, '
    f'or use a detector of boxes, such as {CONFIG}'
)
_ID: Rule = is_id, 'an integer; number the entries'
_NAME: Rule = (lambda name: name and isinstance(name, str), 'a name')


class AnnotationError(UserValueError):
    """An annotation file has mistakes; the message tells the first one.

    Args:
        path: the annotation file.
        problems: its mistakes, a line each.
        more: the end of the message.

    Attributes:
        problems: the mistakes, each with the name of the file.
    """

    def __init__(
        self, path: str | os.PathLike, problems: list[str], more: str
    ) -> None:
        self.problems = [f'{path}: {problem}' for problem in problems]
        super().__init__(f'{self.problems[0]}{more}')


def check_coco(
    path: str | os.PathLike,
    images: str | os.PathLike | None = None,
    classes: Sequence[str] | None = None,
    needs_masks: bool = False,
    annotated: bool = True,
) -> dict[str, Any]:
    """Check an annotation file, and that its images exist.

    Args:
        path: the annotation file.
        images: the folder that contains the images; None skips the images.
        classes: the names that the data set asks for, in the order of its
            labels; None for those of the file.
        needs_masks: whether every annotation needs a segmentation.
        annotated: whether there must be annotations.

    Returns:
        The content of the file.

    Raises:
        ValueError: names the file, the first entry that is wrong, what was
            expected and what to do, and counts the other mistakes.
    """
    content = read_coco(path, annotated)
    check_content(content, path, images, classes, needs_masks, annotated)
    return content


def check_content(
    content: dict[str, Any],
    path: str | os.PathLike,
    images: str | os.PathLike | None = None,
    classes: Sequence[str] | None = None,
    needs_masks: bool = False,
    annotated: bool = True,
) -> None:
    """Check the content of an annotation file, as ``check_coco`` does."""
    folder = None if images is None else Path(images)
    about = 'checked', folder, annotated
    if is_noted(content, *about):
        found = _further_problems(content, classes, needs_masks)
    else:
        found = find_problems(content, images, classes, needs_masks, annotated)
    problems = list(found)
    if not problems:
        note(content, *about)
    if problems:
        more = ''
        if len(problems) > 1:
            folder = f' --images {images}' if images else ''
            more = (
                f' (and {len(problems) - 1} more: python -m {__name__} {path}'
                f'{folder})'
            )
        raise AnnotationError(path, problems, more)


def find_problems(
    content: dict[str, Any],
    images: str | os.PathLike | None = None,
    classes: Sequence[str] | None = None,
    needs_masks: bool = False,
    annotated: bool = True,
) -> Iterator[str]:
    """Yield one line for each mistake in the content of a file."""
    for name in LISTS:
        if not content[name] and (annotated or name != 'annotations'):
            yield f'{name} is empty, expected at least one entry'
    yield from crowd_problem(content['annotations'])
    categories = content['categories']
    yield from wrong_entries(
        'categories', categories, {'id': _ID, 'name': _NAME}
    )
    yield from class_problems(categories, classes)
    image_rules = {
        'id': _ID,
        'file_name': _image_rule(images),
        'width': PIXELS,
        'height': PIXELS,
    }
    yield from wrong_entries('images', content['images'], image_rules)
    no_mask = _NO_MASK if needs_masks else ''
    masks = partial(mask_problem, if_missing=no_mask)
    checks = _size_problem, masks, area_problem
    yield from annotation_problems(content, _ID, checks)
    yield from repeated_ids(content)


def _further_problems(
    content: dict[str, Any],
    classes: Sequence[str] | None,
    needs_masks: bool,
) -> Iterator[str]:
    """Yield the mistakes that another use of a checked content may have."""
    yield from class_problems(content['categories'], classes)
    for place, entry in enumerate(content['annotations'] * needs_masks):
        if not entry.get('segmentation'):
            yield f'annotations[{place}] (id {entry["id"]!r}): {_NO_MASK}'


def annotation_problems(
    content: dict[str, Any], id_rule: Rule, checks: Iterable[Check]
) -> Iterator[str]:
    """Yield one line for each wrong annotation in the content of a file.

    Training and evaluation share all rules but the one for the ids; each
    adds its own checks of the annotations that keep the rules.
    """
    images, categories = by_id(content, 'images'), by_id(content, 'categories')
    rules = {
        **reference_rules(images, categories, 'correct or remove the entry'),
        'id': id_rule,
        'iscrowd': CROWD,
        'ignore': IGNORE,
        'bbox': BOX,
        'area': (
            is_number,
            'the number of pixels of the object (of its box, if it has no '
            'mask), which tells small objects from large ones',
        ),
    }
    return wrong_entries(
        'annotations', content['annotations'], rules, images, checks
    )


def _image_rule(folder: str | os.PathLike | None) -> Rule:
    if folder is None:
        return _NAME
    is_name, _ = _NAME
    return (
        # Path would leave out a slash at the end.
        lambda name: (
            is_name(name) and os.path.isfile(os.path.join(folder, name))
        ),
        f'an image file in {folder}; put it there, name the folder that '
        'contains the images, or leave such images out (--skip-missing of '
        'cbnet train with --data-root)',
    )


def _size_problem(annotation: dict, image: dict) -> str:
    x, y, width, height = box = annotation['bbox']
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
            'clip or remove it, or correct the width and height of the '
            'image if they are not those of the file'
        )
    return ''


def main() -> None:
    """Print all mistakes of a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add('file', help='the annotation file in COCO format')
    add('--images', metavar='FOLDER', help='the folder of its images')
    add('--masks', action='store_true', help='require masks everywhere')
    args = parser.parse_args()
    try:
        if args.images and not Path(args.images).is_dir():
            parser.error(f'--images: no folder {args.images}')
        content = read_coco(args.file)
    except (OSError, ValueError) as error:
        parser.error(one_line(error))
    problems = [*find_problems(content, args.images, needs_masks=args.masks)]
    if args.images:
        problems += size_problems(content, Path(args.images))
    lines = [*problems, f'{args.file}: {len(problems)} problems']
    sys.stdout.write('\n'.join(lines) + '\n')
    sys.exit(bool(problems))


if __name__ == '__main__':
    main()
