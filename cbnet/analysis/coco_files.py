"""Read COCO annotation and results files for looking at them.

Unlike an evaluation, a look needs the instances of a few images only, and
says at once which file does not fit.
"""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pycocotools import mask as coco_mask

from ..errors import UserValueError


@dataclass
class Instance:
    """One object of one image, annotated or detected.

    Attributes:
        category_id: Its COCO category.
        box: xywh in pixels of the image; None where neither a box nor a mask
            was there.
        mask: bool of shape (H, W), or None.
        score: Confidence of a detection, None for an annotation.
    """

    category_id: int
    box: tuple[float, float, float, float] | None
    mask: np.ndarray | None
    score: float | None = None


class CocoAnnotations:
    """Images, categories and annotations of one COCO file.

    Args:
        path: The annotation file.

    Raises:
        ValueError: The file is missing or not a COCO annotation file.
    """

    def __init__(self, path: str | os.PathLike):
        content = _read_json(path)
        try:
            self.images = {image['id']: image for image in content['images']}
            self.categories = {
                category['id']: category['name']
                for category in content['categories']
            }
            self._entries = _by_image(content['annotations'])
        except (KeyError, TypeError) as error:
            raise UserValueError(
                f'{path} is not a COCO annotation file: it needs the lists '
                'images, categories and annotations with their ids'
            ) from error
        self.path = Path(path)

    def instances(self, image_id: int) -> list[Instance]:
        """The annotated objects of one image."""
        entries = self._entries.get(image_id, [])
        return [_instance(entry, self.images[image_id]) for entry in entries]


class CocoResults:
    """Detections in COCO's results format.

    Args:
        entries: Dicts of image_id, category_id, score and bbox (xywh), or
            segmentation (RLE), or both.
        annotations: What the detections belong to.

    Raises:
        ValueError: An entry lacks a key or names an unknown id.
    """

    def __init__(self, entries: Iterable[dict], annotations: CocoAnnotations):
        entries = list(entries)
        for number, entry in enumerate(entries):
            where = f'Result number {number}'
            if not isinstance(entry, dict):
                raise UserValueError(f'{where} is {entry!r}, expected a dict')
            for key in ('image_id', 'category_id', 'score'):
                if key not in entry:
                    raise UserValueError(f'{where} has no {key}')
            if not ('bbox' in entry or 'segmentation' in entry):
                raise UserValueError(
                    f'{where} has no bbox and no segmentation'
                )
            known = (
                ('image_id', annotations.images),
                ('category_id', annotations.categories),
            )
            for key, ids in known:
                if entry[key] not in ids:
                    raise UserValueError(
                        f'{where} has {key} {entry[key]!r}, unknown to '
                        f'{annotations.path}: do they belong together?'
                    )
        self._entries = _by_image(entries)
        self._images = annotations.images

    def instances(self, image_id: int, score_thr: float) -> list[Instance]:
        """An image's detections at or above a score, the best first."""
        entries = [
            entry
            for entry in self._entries.get(image_id, [])
            if entry['score'] >= score_thr
        ]
        entries.sort(key=lambda entry: entry['score'], reverse=True)
        return [_instance(entry, self._images[image_id]) for entry in entries]


def read_results(
    bbox_file: str | os.PathLike | None = None,
    segm_file: str | os.PathLike | None = None,
) -> list[dict]:
    """Read the results files of one evaluation.

    mmdet's ``CocoMetric`` writes them as ``<outfile_prefix>.bbox.json`` and
    ``<outfile_prefix>.segm.json``, entry for entry the same detections.

    Args:
        bbox_file: Boxes and scores.
        segm_file: Masks; where it is given alone, boxes come from it.

    Returns:
        One dict for each detection, in COCO's results format.

    Raises:
        ValueError: Neither file is given, one is missing or not a results
            file, or the two are of different detections.
    """
    if bbox_file is None and segm_file is None:
        raise UserValueError('Give bbox_file, segm_file or both, got neither')
    boxes, masks = (
        None if path is None else _read_result_list(path)
        for path in (bbox_file, segm_file)
    )
    if boxes is None or masks is None:
        return masks if boxes is None else boxes
    keys = ('image_id', 'category_id')
    if [[e.get(k) for k in keys] for e in boxes] != [
        [e.get(k) for k in keys] for e in masks
    ]:
        raise UserValueError(
            f'{bbox_file} and {segm_file} list different detections: take '
            'both from the same run, or give only one'
        )
    # The box's score ranks the detection; masks may carry one of their own.
    return [{**m, **b} for b, m in zip(boxes, masks, strict=True)]


def _read_json(path: str | os.PathLike):
    if not Path(path).is_file():
        raise UserValueError(f'{path} is not a file')
    try:
        return json.loads(Path(path).read_text(encoding='utf-8'))
    except ValueError as error:
        raise UserValueError(f'{path} is not valid JSON: {error}') from error


def _read_result_list(path: str | os.PathLike) -> list[dict]:
    content = _read_json(path)
    if not isinstance(content, list) or not all(
        isinstance(entry, dict) for entry in content
    ):
        raise UserValueError(
            f'{path} is not a COCO results file: expected a list of dicts'
        )
    return content


def _by_image(entries: Iterable[dict]) -> dict[int, list[dict]]:
    groups: dict[int, list[dict]] = {}
    for entry in entries:
        groups.setdefault(entry['image_id'], []).append(entry)
    return groups


def _instance(entry: dict, image: dict) -> Instance:
    rle = _rle(entry.get('segmentation'), image)
    box = entry.get('bbox')
    if box is None and rle is not None:
        box = coco_mask.toBbox(rle)
    return Instance(
        category_id=entry['category_id'],
        box=None if box is None else tuple(float(edge) for edge in box),
        mask=None if rle is None else coco_mask.decode(rle).astype(bool),
        score=entry.get('score'),
    )


def _rle(segmentation: list | dict | None, image: dict) -> dict | None:
    """Bring COCO's three ways to write a mask to compressed RLE."""
    if not segmentation:
        return None
    size = [image['height'], image['width']]
    if isinstance(segmentation, list):
        return coco_mask.merge(coco_mask.frPyObjects(segmentation, *size))
    if list(segmentation['size']) != size:
        raise UserValueError(
            f'A mask of image {image["id"]} has size {segmentation["size"]}, '
            f'expected {size} (height, width)'
        )
    if isinstance(segmentation['counts'], list):
        return coco_mask.frPyObjects(segmentation, *size)
    return segmentation
