"""Write detections as a COCO results file, with the meaning of its ids."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmdet.structures.mask import encode_mask_results
from mmengine.structures import InstanceData
from torchvision.ops import box_convert

from ..atomic_files import AnyPath
from ..datasets.annotations import CocoAnnotations
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
        images: the images added so far: id, file_name, height, width.
        entries: the detections added so far.

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
            annotations = CocoAnnotations(ann_file)
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
        self.images: list[dict] = []
        self.entries: list[dict] = []

    def require_size(self, name: str, height: int, width: int) -> None:
        """Raise a ValueError if the annotations have another size."""
        known = self._known.get(self.image_ids[name], {})
        expected = known.get('height', height), known.get('width', width)
        if expected != (height, width):
            raise UserValueError(
                f'{name} has {width}x{height} pixels, but its annotations '
                f'are for {expected[1]}x{expected[0]}'
            )

    def add(self, image: dict, found: InstanceData) -> None:
        """Add an image, as in an annotation file, with its detections.

        Args:
            image: the entry: id, file_name, height, width.
            found: the detections, see
                :func:`~cbnet.inference.inferencer.best_first`.
        """
        self.images.append(image)
        ids, number = list(self.categories), image['id']
        boxes = box_convert(found.bboxes.double(), 'xyxy', 'xywh').tolist()
        columns = found.labels.tolist(), boxes, found.scores.tolist()
        entries = [
            dict(image_id=number, category_id=ids[i], bbox=box, score=score)
            for i, box, score in zip(*columns, strict=True)
        ]
        if 'masks' in found:
            rles = encode_mask_results(np.asarray(found.masks, bool))
            for entry, rle in zip(entries, rles, strict=True):
                rle['counts'] = rle['counts'].decode()
                entry['segmentation'] = rle
        self.entries += entries

    def write(self, path: Path) -> Path:
        """Write the detections and, beside them, the meaning of the ids.

        Returns:
            The second file: a COCO annotation file without annotations.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.entries))
        categories = [dict(id=i, name=n) for i, n in self.categories.items()]
        content = dict(
            images=self.images, categories=categories, annotations=[]
        )
        meaning = path.with_suffix('.images.json')
        meaning.write_text(json.dumps(content, indent=1))
        return meaning


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
