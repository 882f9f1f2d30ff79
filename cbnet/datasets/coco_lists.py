"""What is wrong with a list of a COCO file as a whole.

Each ``..._problem(s)`` yields one line for each mistake.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from ..messages import did_you_mean, listed
from .annotations import LISTS
from .coco_entries import is_id


def by_id(content: dict[str, Any], name: str) -> dict[int | str, dict]:
    """Map the ids of one list to its entries, without invalid ids."""
    return {
        entry['id']: entry for entry in content[name] if is_id(entry.get('id'))
    }


def crowd_problem(annotations: list[dict]) -> Iterator[str]:
    """Yield a line if every annotation is a crowd."""
    crowds = [entry for entry in annotations if entry.get('iscrowd') == 1]
    if annotations and len(crowds) == len(annotations):
        yield (
            f'all {len(crowds)} annotations are crowds (iscrowd=1), which are '
            'neither learned nor evaluated; set iscrowd to 0 where an '
            'annotation is a single object (some tools write 1 for every '
            'mask of a brush)'
        )


def repeated_ids(content: dict[str, Any]) -> Iterator[str]:
    """Yield one line for each id that occurs more than once in a list.

    Another one tells if there are texts among the integers.
    """
    for name in LISTS:
        ids = [entry.get('id') for entry in content[name]]
        types = sorted({type(one).__name__ for one in ids if is_id(one)})
        if len(types) > 1:
            yield (
                f'{name}: the ids are of different types ({listed(types)}), '
                'expected integers; renumber the entries'
            )
        for value, count in Counter(filter(is_id, ids)).items():
            if count > 1:
                place = ids.index(value, ids.index(value) + 1)
                yield (
                    f'{name}[{place}]: the id {value!r} occurs {count} times, '
                    'expected ids that occur once; renumber the entries'
                )


def class_problems(
    categories: list[dict], classes: Sequence[str] | None
) -> Iterator[str]:
    """Yield one line for each mistake in the names of the categories.

    Args:
        categories: the categories of the file.
        classes: the names that the data set asks for, in the order of its
            labels; None for those of the file.
    """
    names = [str(category.get('name')) for category in categories]
    for name, count in Counter(names).items():
        if count > 1:
            yield (
                f'categories: the name {name!r} occurs {count} times, '
                'expected one category for each name; rename or join them'
            )
    for name in classes or ():
        if name not in names:
            yield (
                f'declares no category {name!r}, which metainfo.classes of '
                f'the data set names{did_you_mean(name, names)}; it '
                f'declares {listed(names, 10)}'
            )
    # mmdet numbers the labels in the file's order, whatever the order of
    # metainfo.classes is: the names would be swapped silently.
    order = [name for name in names if name in (classes or ())]
    if classes and sorted(order) == sorted(classes) and order != list(classes):
        yield (
            f'categories are in the order {listed(order, 10)}, '
            f'metainfo.classes in the order {listed(classes, 10)}; mmdet '
            'uses the order of the file, so names would be swapped: give '
            'metainfo.classes in the order of the file'
        )
