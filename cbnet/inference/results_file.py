"""Write detections as a COCO results file, with the meaning of its ids.

They are written image by image, and both files are complete after each one:
whatever ends a run loses nothing that it has found before.
"""

import errno
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmdet.structures.mask import encode_mask_results
from mmengine.structures import InstanceData
from torchvision.ops import box_convert

from ..atomic_files import AnyPath
from ..datasets.annotations import CocoAnnotations, read_coco
from ..errors import UserValueError
from ..messages import listed


class ResultsFile:
    """The detections in a set of images, in COCO's results format.

    Args:
        classes: the names of the labels.
        names: the names of the images, if they are known.
        ann_file: the COCO annotation file that gives the ids of images and
            classes, by their names; None numbers both from 1.

    Attributes:
        image_ids: the ids of the images by their names.
        categories: the names of the classes by their ids, in label order.
        images: the number of images added so far.
        detections: the number of detections added so far.

    Raises:
        ValueError: the annotation file cannot be read or lacks a name.
    """

    def __init__(
        self,
        classes: Sequence[str],
        names: Sequence[str] = (),
        ann_file: AnyPath | None = None,
    ) -> None:
        self._known = {}
        image_ids = range(1, len(names) + 1)
        category_ids = range(1, len(classes) + 1)
        if ann_file is not None:
            content = read_coco(ann_file, annotated=False)
            annotations = CocoAnnotations(ann_file, content)
            self._known = annotations.images
            file_names = {
                image_id: image.get('file_name')
                for image_id, image in annotations.images.items()
            }
            image_ids = _ids(names, file_names, ann_file, 'images')
            category_ids = _ids(
                classes, annotations.categories, ann_file, 'classes'
            )
        self.image_ids = dict(zip(names, image_ids, strict=True))
        self.categories = dict(zip(category_ids, classes, strict=True))
        self.images = self.detections = 0
        self._lists: tuple[GrowingList, ...] = ()

    def open(self, path: Path) -> Path:
        """Write what is added from now on into a new file.

        Args:
            path: the file of the detections, replaced if it exists.

        Returns:
            The file beside it for the meaning of the ids: a COCO annotation
            file without annotations.
        """
        categories = [dict(id=i, name=n) for i, n in self.categories.items()]
        content = dict(annotations=[], categories=categories)
        meaning = meaning_of(path)
        before = f'{json.dumps(content, indent=1)[:-2]},\n "images": ['
        self._lists = GrowingList(path), GrowingList(meaning, before, ']\n}')
        return meaning

    def require_size(self, name: str, height: int, width: int) -> None:
        """Raise a ValueError if the annotations have another size."""
        known = self._known.get(self.image_ids[name], {})
        expected = known.get('height', height), known.get('width', width)
        if expected != (height, width):
            raise UserValueError(
                f'{name} has {width}x{height} pixels, but its annotations '
                f'are for {expected[1]}x{expected[0]}'
            )

    def add(self, image: dict, found: InstanceData) -> list[dict]:
        """Add an image, as in an annotation file, with its detections.

        Args:
            image: the entry: id, file_name, height, width.
            found: the detections, see
                :func:`~cbnet.inference.inferencer.best_first`.

        Returns:
            The entries of the detections.
        """
        ids, number = list(self.categories), image['id']
        boxes = box_convert(found.bboxes.double(), 'xyxy', 'xywh').tolist()
        columns = found.labels.tolist(), boxes, found.scores.tolist()
        entries = [
            dict(image_id=number, category_id=ids[i], bbox=box, score=score)
            for i, box, score in zip(*columns, strict=True)
        ]
        if 'masks' in found:
            rles = found.masks
            if not isinstance(rles, list):
                rles = encode_mask_results(np.asarray(rles, bool))
            for entry, rle in zip(entries, rles, strict=True):
                counts = rle['counts'].decode()
                entry['segmentation'] = dict(rle, counts=counts)
        for file, items in zip(self._lists, (entries, [image]), strict=False):
            file.add(items)
        self.images += 1
        self.detections += len(entries)
        return entries


def meaning_of(path: Path) -> Path:
    """Name the file beside a results file that says what its ids mean."""
    return path.with_suffix('.images.json')


class GrowingList:
    """A list in a JSON file, which is complete after every addition.

    Args:
        path: the file, replaced if it exists; its folder is created.
        before: the JSON up to the list, with its bracket.
        after: the JSON from the bracket that closes the list.
    """

    def __init__(
        self, path: Path, before: str = '[', after: str = ']'
    ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open('wb', buffering=0)
        self._after = after.encode()
        self._separator = ''
        self._file.write(before.encode() + self._after)

    def add(self, items: Iterable[Any]) -> None:
        """Append items.

        Raises:
            OSError: there is no room; the list is what it was before.
        """
        if not (text := ',\n'.join(map(json.dumps, items))):
            return
        end = self._file.seek(-len(self._after), 2)
        content = (self._separator + text).encode() + self._after
        try:
            written = self._file.write(content)
            if written != len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            self._file.seek(end)
            self._file.write(self._after)
            self._file.truncate()
            raise
        self._separator = ',\n'


def _ids(
    wanted: Sequence[str], names: dict[int, str], file: AnyPath, kind: str
) -> list[int]:
    """Look up names; ``kind`` says in errors what they are names of."""
    ids = {name: number for number, name in names.items()}
    unknown = [name for name in wanted if name not in ids]
    if unknown:
        raise UserValueError(
            f'{file} lacks {len(unknown)} of the {len(wanted)} {kind} '
            f'({listed(unknown, 3)}); it has {listed(ids, 3)}'
        )
    return [ids[name] for name in wanted]
