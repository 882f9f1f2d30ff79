"""The splits of a battle: one to train on, one for choices, one for figures.

No choice of a learning rate may see the images that the figures are measured
on. A data set with three splits has them; of others, a part is taken.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ..atomic_files import write_whole
from ..datasets.annotations import is_coco
from ..datasets.own_data import OwnData, Split, find_own_data, with_classes
from ..datasets.split_files import find_test_files, json_files, splits_of
from ..errors import UserValueError
from ..messages import number_of
from .shared_images import check_images

#: the share of the images that is taken for a split that is missing
SHARE = 0.2
ROLES = 'train', 'val', 'test'
#: mmdet trains on no image with a smaller side, see ``filter_cfg``
LEAST_SIDE = 32


@dataclass(frozen=True)
class BattleData:
    """The splits of one data set.

    Attributes:
        name: the name of its folder.
        splits: ``train``, ``val`` (for choices) and ``test`` (for figures).
        sources: the annotation files that they come from.
        fingerprint: a hash of the annotations, and of the names and sizes of
            the image files.
        note: where the splits come from, in one sentence.
    """

    name: str
    splits: Mapping[str, Split]
    sources: Mapping[str, Path]
    fingerprint: str
    note: str

    def pair(self, role: str) -> OwnData:
        """Give the training split and another one."""
        return OwnData(self.splits['train'], self.splits[role])

    def moved(self, folder: Path) -> 'BattleData':
        """Give the same splits with their annotations in another folder."""
        return self._with({role: folder / f'{role}.json' for role in ROLES})

    def as_found(self) -> 'BattleData':
        """Give the same splits with the names of the user's files."""
        return self._with(self.sources)

    def _with(self, files: Mapping[str, Path]) -> 'BattleData':
        splits = {
            role: replace(split, annotations=files[role])
            for role, split in self.splits.items()
        }
        return replace(self, splits=splits)

    def write(self) -> None:
        """Write the annotations of the splits, as mmdet reads them."""
        for split in self.splits.values():
            text = _as_text(split.content)
            file = split.annotations
            if not file.exists() or file.read_bytes() != text:
                write_whole(file, text)

    def images(self, role: str) -> int:
        """Count the images of a split."""
        return len(self.splits[role].content['images'])

    def trained(self) -> int:
        """Count the images to train on: not too small, and with objects."""
        content = self.splits['train'].content
        seen = {one['image_id'] for one in content['annotations']}
        return sum(
            image['id'] in seen
            and min(image['width'], image['height']) >= LEAST_SIDE
            for image in content['images']
        )


def find_data(roots: Sequence[Path], folder: Path) -> list[BattleData]:
    """Find and split the data sets of a battle.

    Args:
        roots: the folders of the data sets, in COCO format.
        folder: where ``BattleData.write`` writes the annotations.

    Raises:
        ValueError: a data set is missing, broken or too small, or two have
            one name.
    """
    names = [root.resolve().name for root in roots]
    lower = [name.lower() for name in names]  # some disks take these for one
    for name in names:
        if lower.count(name.lower()) > 1:
            raise UserValueError(
                f'--data-root: two folders are named {name}, and their '
                f'results could not be told apart; rename one of them'
            )
    return [_find(root, folder / root.resolve().name) for root in roots]


def _find(root: Path, folder: Path) -> BattleData:
    found, note = _roles(root)
    check_images(root, found)
    classes = found['train'].classes
    splits, digest = {}, hashlib.sha256()
    for role in ROLES:
        split = found[role]
        content = with_classes(split.content, classes)
        # The evaluation takes the number 0 for "no object".
        content['annotations'] = [
            dict(one, id=number)
            for number, one in enumerate(content['annotations'], start=1)
        ]
        objects = sum(not a.get('iscrowd') for a in content['annotations'])
        if not content['images'] or not objects:
            raise UserValueError(
                f'--data-root {root}: the split {role} has '
                f'{number_of(len(content["images"]), "images")} and '
                f'{number_of(objects, "annotations")} that are no crowds, so '
                f'nothing can be measured; give a data set with objects in '
                f'every split ({note})'
            )
        digest.update(_as_text(content))
        for image in content['images']:
            file = split.images / image['file_name']
            size = file.stat().st_size if file.is_file() else -1
            digest.update(f'{image["file_name"]} {size}'.encode())
        splits[role] = replace(
            split,
            annotations=(folder / f'{role}.json').absolute(),
            images=split.images.absolute(),
            classes=classes,
            repairs=(),
            content=content,
        )
    sources = {role: found[role].annotations for role in ROLES}
    name, fingerprint = root.resolve().name, digest.hexdigest()[:16]
    data = BattleData(name, splits, sources, fingerprint, note)
    if not data.trained():
        images = number_of(data.images('train'), 'images')
        raise UserValueError(
            f'--data-root {root}: of {images} to train on, none has objects '
            f'and {LEAST_SIDE} pixels or more on both sides; smaller ones are '
            f'not trained on, so enlarge them and their annotations'
        )
    return data


def _as_text(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True).encode()


def _roles(root: Path) -> tuple[dict[str, Split], str]:
    """Find the splits that a data set has, and take parts for the others."""
    if not root.is_dir():
        raise UserValueError(f'--data-root: no folder {root}')
    files = json_files(root)
    named = {
        role: [f for f in files if splits_of(f) == {role}] for role in ROLES
    }
    find = partial(find_own_data, options='none')
    tests = [f for f in find_test_files(root) if is_coco(root / f)]
    if named['val'] and len(tests) == 1:
        data = find(root)
        test = find(root, val_ann=str(tests[0])).val
        found = dict(train=data.train, val=data.val, test=test)
        return found, 'three splits of its own'
    if named['val'] or len(tests) == 1:
        given = None if named['val'] else str(tests[0])
        data = find(root, val_ann=given)
        train, val = _parts(data.train, 1 - SHARE)
        note = (
            f'figures on its {"validation" if named["val"] else "test"} '
            f'split; rates are chosen on {SHARE:.0%} of the training images, '
            f'which are not trained on'
        )
        return dict(train=train, val=val, test=data.val), note
    only = find(root, validate=False).train
    train, rest = _parts(only, 1 - 2 * SHARE)
    val, test = _parts(rest, 0.5)
    note = (
        f'one split of its own, of which {SHARE:.0%} are for choices and '
        f'{SHARE:.0%} for figures'
    )
    return dict(train=train, val=val, test=test), note


def _parts(split: Split, share: float) -> tuple[Split, Split]:
    """Divide a split by a hash of the images' names: always the same way."""
    images = sorted(
        split.content['images'],
        key=lambda image: hashlib.sha256(
            image['file_name'].encode()
        ).hexdigest(),
    )
    number = min(max(round(share * len(images)), 1), len(images) - 1)
    return tuple(
        replace(split, content=_only(split.content, part))
        for part in (images[:number], images[number:])
    )


def _only(
    content: Mapping[str, Any], images: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    kept = {image['id'] for image in images}
    return {
        **content,
        'images': [one for one in content['images'] if one['id'] in kept],
        'annotations': [
            one for one in content['annotations'] if one['image_id'] in kept
        ],
    }
