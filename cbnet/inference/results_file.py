"""A COCO results file, and what its ids mean."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from ..datasets.annotations import CocoAnnotations, Instance
from ..errors import UserValueError
from .detections import to_entries


class ResultsFile:
    """Detections of pictures, with ids numbered from 1 or those of a file.

    Attributes:
        image_ids: the pictures' ids by their names.
        categories: names of the classes by their ids, in the labels' order.
        images: the pictures added so far: id, file_name, height, width.
        entries: the detections added so far, in COCO's results format.

    Args:
        classes: names of the labels.
        names: names of the pictures, where they are known.
        ann_file: COCO annotations to take the ids from, by the names.

    Raises:
        ValueError: the annotation file cannot be read or lacks a name.
    """

    def __init__(
        self,
        classes: Sequence[str],
        names: Sequence[str] = (),
        ann_file: str | os.PathLike | None = None,
    ) -> None:
        if ann_file is None:
            self._known = {}
            image_ids, category_ids = (
                range(1, len(of) + 1) for of in (names, classes)
            )
        else:
            annotations = CocoAnnotations(ann_file)
            self._known = annotations.images
            file_names = {
                image_id: image.get('file_name')
                for image_id, image in annotations.images.items()
            }
            image_ids = _ids(names, file_names, ann_file, 'pictures')
            category_ids = _ids(
                classes, annotations.categories, ann_file, 'classes'
            )
        self.image_ids = dict(zip(names, image_ids, strict=True))
        self.categories = dict(zip(category_ids, classes, strict=True))
        self.images: list[dict] = []
        self.entries: list[dict] = []

    @property
    def category_ids(self) -> list[int]:
        """The category id of each label."""
        return list(self.categories)

    def require_size(self, image_id: int, height: int, width: int) -> None:
        """Refuse a picture whose annotations are of another size.

        Raises:
            ValueError: the sizes differ.
        """
        known = self._known.get(image_id, {})
        expected = known.get('height', height), known.get('width', width)
        if expected != (height, width):
            raise UserValueError(
                f'{width}x{height} pixels as it is read, its annotations are '
                f'of {expected[1]}x{expected[0]}'
            )

    def add(self, image: dict, instances: list[Instance]) -> None:
        """Add a picture's detections."""
        self.images.append(image)
        self.entries += to_entries(image['id'], instances)

    def write(self, path: Path) -> Path:
        """Write the detections and, beside them, what the ids mean.

        Returns:
            The second file: a COCO annotation file without annotations.
        """
        meaning = path.with_suffix('.images.json')
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.entries))
        categories = [dict(id=i, name=n) for i, n in self.categories.items()]
        content = dict(
            images=self.images, categories=categories, annotations=[]
        )
        meaning.write_text(json.dumps(content, indent=1))
        return meaning


def _ids(
    wanted: Sequence[str],
    names: dict[int, str],
    ann_file: str | os.PathLike,
    what: str,
) -> list[int]:
    ids = {name: number for number, name in names.items()}
    unknown = [name for name in wanted if name not in ids]
    if unknown:
        raise UserValueError(
            f'{ann_file} lacks {len(unknown)} of the {len(wanted)} {what} '
            f'({_few(unknown)}); it has {_few(list(ids))}'
        )
    return [ids[name] for name in wanted]


def _few(names: list[str], most: int = 3) -> str:
    return ', '.join(map(str, names[:most])) + ', ...' * (len(names) > most)
