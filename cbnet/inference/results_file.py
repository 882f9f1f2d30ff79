"""Write detections as a COCO results file, and what its ids mean."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmdet.structures.mask import encode_mask_results
from mmengine.structures import InstanceData

from ..datasets.annotations import CocoAnnotations
from ..errors import UserValueError
from ..messages import listed


class ResultsFile:
    """The detections in a set of images, in COCO's results format.

    Args:
        classes: the names of the labels.
        names: the names of the images, if they are known.
        ann_file: the COCO annotations to take the ids of images and classes
            from, by their names; None numbers both from 1.

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
        ann_file: str | os.PathLike | None = None,
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
        """Refuse an image whose annotations are for another size.

        Raises:
            ValueError: the sizes differ.
        """
        known = self._known.get(self.image_ids[name], {})
        expected = known.get('height', height), known.get('width', width)
        if expected != (height, width):
            raise UserValueError(
                f'{name} has {width}x{height} pixels, but its annotations '
                f'are for {expected[1]}x{expected[0]}'
            )

    def add(self, image: dict, found: InstanceData) -> None:
        """Add an image with its detections.

        Args:
            image: the image's entry in an annotation file.
            found: ``bboxes`` (n, 4) as xyxy in pixels of the image,
                ``labels`` (n,), ``scores`` (n,), perhaps ``masks``
                (n, H, W).
        """
        self.images.append(image)
        category_ids = list(self.categories)
        for i in range(len(found)):
            x, y, right, bottom = found.bboxes[i].double().tolist()
            entry = dict(
                image_id=image['id'],
                category_id=category_ids[found.labels[i]],
                bbox=[x, y, right - x, bottom - y],
                score=float(found.scores[i]),
            )
            if 'masks' in found:
                mask = np.asarray(found.masks[i], bool)
                (rle,) = encode_mask_results([mask])
                entry['segmentation'] = dict(
                    size=rle['size'], counts=rle['counts'].decode()
                )
            self.entries.append(entry)

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
    kind: str,
) -> list[int]:
    ids = {name: number for number, name in names.items()}
    unknown = [name for name in wanted if name not in ids]
    if unknown:
        raise UserValueError(
            f'{ann_file} lacks {len(unknown)} of the {len(wanted)} {kind} '
            f'({listed(unknown, 3)}); it has {listed(ids, 3)}'
        )
    return [ids[name] for name in wanted]
