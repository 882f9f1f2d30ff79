"""How many images and objects of a data set are used, and what is left out.

mmdet leaves out small images, images without objects, and degenerate boxes,
without a word.
"""

import copy
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmdet.datasets.api_wrappers import COCO
from mmengine.dataset import BaseDataset

from ..errors import UserValueError
from ..messages import listed, number_of
from ..quiet import quiet_output
from .annotations import index


@dataclass
class Kept:
    """What a data set keeps of its annotation file.

    Attributes:
        file: the annotation file.
        name: the name of the file or, without a file, of the data set's kind.
        images: the number of images that are used.
        all_images: the number of images of the file.
        objects: the number of objects that are used, by class.
        images_left_out: the number of images that are not used, by reason.
        objects_left_out: the number of objects that are not used although
            their image is, by reason.
    """

    file: str
    name: str
    images: int
    all_images: int
    objects: dict[str, int]
    images_left_out: dict[str, int]
    objects_left_out: dict[str, int]

    def lines(self) -> list[str]:
        """Describe it in a line, and in another one what is left out."""
        counts = listed((f'{name} {n}' for name, n in self.objects.items()), 8)
        total = sum(self.objects.values())
        line = (
            f'{self.name}: {self.images} of '
            f'{number_of(self.all_images, "images")} and '
            f'{number_of(total, "objects")} are used ({counts})'
        )
        left_out = self._left_out()
        return [line, *([f'left out: {left_out}'] if left_out else [])]

    def require_objects(self, use: str) -> None:
        """Refuse a file of which no object is left.

        Args:
            use: what the objects are for: ``train``, ``evaluate`` or ``test``.

        Raises:
            ValueError: no object is left.
        """
        if any(self.objects.values()):
            return
        # A study and a battle, which train too, have no such option.
        instead = ''
        if use == 'evaluate':
            train = 'cbnet train --data-root DIR --no-val'
            instead = f'; `{train}` trains without validation'
        raise UserValueError(
            f'{self.file}: no object is left to {use} on '
            f'({self._left_out() or "there are none"}); expected at least one '
            f'image with an object of {listed(self.objects, 8)}{instead}'
        )

    def _left_out(self) -> str:
        images = {f'images {r}': n for r, n in self.images_left_out.items()}
        reasons = images | self.objects_left_out
        return ', '.join(number_of(n, what) for what, n in reasons.items())


def describe_kept(dataset: BaseDataset) -> list[str]:
    """Say what a data set keeps of its annotation file, see ``count_kept``.

    Returns:
        One line with the numbers, and one with what is left out, if
        anything is.

    Raises:
        ValueError: the data set is for training, and no object is left.
    """
    kept = count_kept(dataset)
    if not dataset.test_mode:
        kept.require_objects('train')
    return kept.lines()


def count_kept(
    dataset: BaseDataset, content: dict[str, Any] | None = None
) -> Kept:
    """Count what a data set keeps of its annotation file, and what not.

    Args:
        dataset: the data set, which stays as it is.
        content: the content of a COCO file, for a data set that has not read
            its file.
    """
    # A data set forgets what it filtered out, so the file is read again.
    again = copy.copy(dataset)
    if content is not None:
        again.COCOAPI = lambda path: _indexed(content)
    with quiet_output():  # pycocotools prints
        again.data_list = everything = again.load_data_list()
        kept = again.filter_data()
    labels = Counter(
        one['bbox_label']
        for info in kept
        for one in info.get('instances', ())
        if not one.get('ignore_flag')
    )
    classes = dataset.metainfo.get('classes') or ()
    ids = {id(info) for info in kept}
    reasons = Counter(
        _reason(info, dataset.filter_cfg)
        for info in everything
        if id(info) not in ids
    )
    return Kept(
        file=dataset.ann_file,
        name=Path(dataset.ann_file).name or type(dataset).__name__,
        # A built data set may take only a part, by its indices.
        images=len(dataset if content is None else kept),
        all_images=len(everything),
        objects={name: labels[i] for i, name in enumerate(classes)},
        images_left_out=dict(reasons.most_common()),
        objects_left_out=_objects_left_out(again, kept, content),
    )


def _indexed(content: dict[str, Any]) -> COCO:
    # Reading adds to the entries of the images.
    images = [dict(entry) for entry in content['images']]
    api = index(COCO, content | dict(images=images))
    # mmdet's names of what the index has just made.
    api.img_ann_map, api.cat_img_map = api.imgToAnns, api.catToImgs
    return api


def _objects_left_out(
    dataset: BaseDataset, kept: list[dict], content: dict[str, Any] | None
) -> dict[str, int]:
    instances = [one for info in kept for one in info.get('instances', ())]
    crowds = sum(bool(one.get('ignore_flag')) for one in instances)
    found = {'crowds (iscrowd)': crowds}
    if content is not None:
        images = {info['img_id'] for info in kept}
        there = [
            one['category_id'] in dataset.cat_ids
            for one in content['annotations']
            if one['image_id'] in images
        ]
        found['objects of other classes'] = there.count(False)
        nothings = there.count(True) - len(instances)
        found['objects without an area'] = nothings
    return {what: number for what, number in found.items() if number}


def _reason(info: dict, filter_cfg: dict) -> str:
    if filter_cfg.get('filter_empty_gt') and not info.get('instances'):
        return 'without objects of the classes (filter_empty_gt)'
    least = filter_cfg.get('min_size', 0)
    if min(info.get('width', least), info.get('height', least)) < least:
        return f'smaller than {least} pixels (min_size)'
    return 'by another rule of filter_cfg'
