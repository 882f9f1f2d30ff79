"""Read what annotation tools write otherwise than COCO, where it is clear.

Each repair takes the content of a file and returns the changed content with
one line about it, or None if there is nothing to repair.  The content itself
is never changed, because others may have read the same file.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ..messages import listed, number_of
from .annotations import LISTS
from .areas import wrong_area
from .coco_entries import is_id
from .coco_lists import by_id

Content = dict[str, Any]
Repaired = tuple[Content, str] | None

#: the keys of ids, and the list whose entries they name
_IDS = {
    'images': {'id': 'images'},
    'categories': {'id': 'categories'},
    'annotations': {
        'id': 'annotations',
        'image_id': 'images',
        'category_id': 'categories',
    },
}


def repair(
    content: Content, folder: Path, skip_missing: bool = False
) -> tuple[Content, list[str]]:
    """Repair the content of an annotation file.

    Args:
        content: the content, which stays as it is.
        folder: the folder of the images.
        skip_missing: whether to leave out images that are not there.

    Returns:
        The repaired content, and one line for each repair.
    """
    repairs: list[Callable[[Content, Path], Repaired]] = [
        _integer_ids,
        _whole_sizes,
        _areas,
        _named_categories,
        _without_root,
        _forward_slashes,
    ]
    if skip_missing:
        repairs.append(_without_missing)
    lines = []
    for one in repairs:
        if (repaired := one(content, folder)) is not None:
            content, line = repaired
            lines.append(line)
    return content, lines


def _integer_ids(content: Content, _: Path) -> Repaired:
    """Number what is identified by texts or floats, as in VIA's files."""
    if all(
        type(entry.get(key, 0)) is int
        for name, keys in _IDS.items()
        for entry in content[name]
        for key in keys
    ):
        return None
    numbers = {name: _numbering(content[name]) for name in LISTS}
    changed, count = {}, 0
    for name, keys in _IDS.items():
        changed[name] = []
        for entry in content[name]:
            ids = {
                key: numbers[of].get(plain, entry[key])
                for key, of in keys.items()
                if (plain := _plain(entry.get(key))) is not None
            }
            count += any(type(entry[key]) is not type(ids[key]) for key in ids)
            changed[name].append(entry | ids)
    if not count:
        return None
    return (
        content | changed,
        f'ids became integers in {number_of(count, "places")}',
    )


def _numbering(entries: Iterable[dict]) -> dict[Any, int]:
    """Map ids to integers: to themselves, or counted from 1 if one is none."""
    ids = [_plain(entry.get('id')) for entry in entries]
    ids = [one for one in ids if one is not None]
    if all(isinstance(one, int) for one in ids):
        return {one: one for one in ids}
    return {one: n for n, one in enumerate(dict.fromkeys(ids), start=1)}


def _plain(value: Any) -> int | str | None:
    """Turn 3.0 and '3' into 3; give None for what is no id."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str):
        return int(value) if value.strip().isdecimal() else value
    is_id = isinstance(value, int) and not isinstance(value, bool)
    return value if is_id else None


def _whole_sizes(content: Content, _: Path) -> Repaired:
    """Read the sizes 640.0 and '640' as 640."""
    changed, count = [], 0
    for entry in content['images']:
        sizes = {key: _plain(entry.get(key)) for key in ('width', 'height')}
        new = {
            key: size
            for key, size in sizes.items()
            if isinstance(size, int) and type(entry[key]) is not int
        }
        changed.append(entry | new)
        count += bool(new)
    if not count:
        return None
    line = f'the sizes of {number_of(count, "images")} became whole numbers'
    return content | dict(images=changed), line


def _areas(content: Content, _: Path) -> Repaired:
    """Compute areas that are missing, not positive or beyond the image.

    mmdet leaves such objects out of a training, but not of an evaluation.
    """
    images = by_id(content, 'images')
    changed, count = [], 0
    for entry in content['annotations']:
        key = entry.get('image_id')
        image = images.get(key, {}) if is_id(key) else {}
        if new := wrong_area(entry, image):
            entry, count = entry | dict(area=new), count + 1
        changed.append(entry)
    if not count:
        return None
    line = (
        f'the area of {number_of(count, "objects")} was missing, not positive '
        f'or larger than the image, and became that of the mask or the box'
    )
    return content | dict(annotations=changed), line


def _named_categories(content: Content, _: Path) -> Repaired:
    """Turn numbers into names, and take off the spaces around names."""
    changed, old = [], []
    for entry in content['categories']:
        name = entry.get('name')
        number = isinstance(name, int | float) and not isinstance(name, bool)
        new = str(name).strip() if number or isinstance(name, str) else name
        changed.append(entry | dict(name=new) if 'name' in entry else entry)
        if new != name:
            old.append(repr(name))
    if not old:
        return None
    line = f'category names are read as texts without spaces: {listed(old)}'
    return content | dict(categories=changed), line


def _without_root(content: Content, _: Path) -> Repaired:
    """Leave out the unused category to which Roboflow's others belong."""
    categories = content['categories']
    # Lists, because a wrong value may be anything.
    above = [entry.get('supercategory') for entry in categories]
    roots = [
        entry
        for entry in categories
        if entry.get('supercategory') == 'none'
        and entry.get('name') in above
        and not any(
            one.get('category_id') == entry.get('id')
            for one in content['annotations']
        )
    ]
    if len(roots) != 1 or len(categories) < 2:
        return None
    rest = [entry for entry in categories if entry is not roots[0]]
    line = (
        f'the category {roots[0]["name"]!r} has no objects and is only the '
        f'parent of others; it is left out'
    )
    return content | dict(categories=rest), line


def _forward_slashes(content: Content, folder: Path) -> Repaired:
    """Follow the paths that Windows has written."""
    changed, count = [], 0
    for entry in content['images']:
        name = entry.get('file_name')
        if isinstance(name, str) and '\\' in name:
            new = name.replace('\\', '/')
            there = os.path.exists(folder / name)
            if not there and os.path.isfile(folder / new):
                entry, count = entry | dict(file_name=new), count + 1
        changed.append(entry)
    if not count:
        return None
    line = f'\\ became / in {number_of(count, "paths")}'
    return content | dict(images=changed), line


def _without_missing(content: Content, folder: Path) -> Repaired:
    """Leave out the images that are not there, and their objects."""
    there, missing = [], []
    for entry in content['images']:
        name = entry.get('file_name')
        if isinstance(name, str) and not os.path.isfile(
            os.path.join(folder, name)
        ):
            missing.append(entry)
        else:
            there.append(entry)
    if not missing or not there:
        return None  # if none is there, the folder is wrong
    gone = by_id(dict(images=missing), 'images')
    kept = [
        entry
        for entry in content['annotations']
        if not (is_id(key := entry.get('image_id')) and key in gone)
    ]
    names = [entry['file_name'] for entry in missing]
    line = (
        f'left out, because {folder} does not contain them: {len(missing)} '
        f'of {number_of(len(content["images"]), "images")} '
        f'({listed(names)})'
    )
    return content | dict(images=there, annotations=kept), line
