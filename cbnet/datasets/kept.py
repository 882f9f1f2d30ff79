"""How many images and objects of an annotation file are trained on.

mmdet leaves out small images, images without objects, and degenerate boxes,
without a word.
"""

from collections import Counter
from typing import Any

from mmdet.datasets import CocoDataset
from mmdet.datasets.api_wrappers import COCO

from ..errors import UserValueError
from ..messages import listed
from .annotations import index


def count_kept(dataset: CocoDataset, content: dict[str, Any]) -> list[str]:
    """Say what a data set keeps of its annotation file.

    Args:
        dataset: the data set, which has not read its file.
        content: the content of the file.

    Returns:
        One line with the numbers, and one with what is left out, if
        anything is.

    Raises:
        ValueError: nothing is left to train on.
    """
    dataset.COCOAPI = lambda path: _indexed(content)
    dataset.data_list = dataset.load_data_list()
    kept = dataset.filter_data()
    classes = dataset.metainfo['classes']
    objects = [
        one
        for info in kept
        for one in info['instances']
        if not one['ignore_flag']
    ]
    dropped = ', '.join(_dropped(dataset, kept, content))
    if not objects:
        raise UserValueError(
            f'{dataset.ann_file}: no object is left to train on '
            f'({dropped or "there are none"}); expected at least one image '
            f'with an object of {listed(classes, 8)}'
        )
    counts = Counter(classes[one['bbox_label']] for one in objects)
    each = listed((f'{name} {counts[name]}' for name in classes), 8)
    lines = [
        f'{dataset.ann_file}: {len(kept)} of {len(content["images"])} images '
        f'and {len(objects)} of {len(content["annotations"])} objects are '
        f'trained on ({each})'
    ]
    return [*lines, f'left out: {dropped}'] if dropped else lines


def _indexed(content: dict[str, Any]) -> COCO:
    # Reading adds to the entries of the images.
    images = [dict(entry) for entry in content['images']]
    api = index(COCO, content | dict(images=images))
    # mmdet's names of what the index has just made.
    api.img_ann_map, api.cat_img_map = api.imgToAnns, api.catToImgs
    return api


def _dropped(
    dataset: CocoDataset, kept: list[dict], content: dict[str, Any]
) -> list[str]:
    """Count what is left out, by reason."""
    ids = {info['img_id'] for info in kept}
    least = (dataset.filter_cfg or {}).get('min_size', 0)
    small = empty = 0
    for info in dataset.data_list:
        if info['img_id'] not in ids:
            if min(info['width'], info['height']) < least:
                small += 1
            else:
                empty += 1
    crowds = sum(one['ignore_flag'] for i in kept for one in i['instances'])
    objects = sum(len(info['instances']) for info in kept)
    there = sum(a['image_id'] in ids for a in content['annotations'])
    return [
        f'{number} {what}'
        for number, what in (
            (small, f'images smaller than {least} pixels (min_size)'),
            (empty, 'images without objects (filter_empty_gt)'),
            (crowds, 'crowds (iscrowd)'),
            (there - objects, 'objects without an area or of other classes'),
        )
        if number
    ]
