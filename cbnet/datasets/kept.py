"""How many images and objects of a data set are used, and what is left out.

mmdet leaves out small images, images without objects, and degenerate boxes,
without a word.
"""

import contextlib
import copy
import io
from collections import Counter
from pathlib import Path
from typing import Any

from mmdet.datasets.api_wrappers import COCO
from mmengine.dataset import BaseDataset

from ..errors import UserValueError
from ..messages import listed, number_of
from .annotations import index


def describe_kept(
    dataset: BaseDataset, content: dict[str, Any] | None = None
) -> list[str]:
    """Say what a data set keeps of its annotation file.

    Args:
        dataset: the data set, which stays as it is.
        content: the content of a COCO file, for a data set that has not read
            its file.

    Returns:
        One line with the numbers, and one with what is left out, if
        anything is.

    Raises:
        ValueError: the data set is for training, and no object is left.
    """
    # A data set forgets what it filtered out, so the file is read again.
    again = copy.copy(dataset)
    if content is not None:
        again.COCOAPI = lambda path: _indexed(content)
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints
        again.data_list = everything = again.load_data_list()
        kept = again.filter_data()
    file, classes = dataset.ann_file, dataset.metainfo.get('classes') or ()
    instances = [one for info in kept for one in info.get('instances', ())]
    labels = Counter(
        one['bbox_label'] for one in instances if not one.get('ignore_flag')
    )
    left_out = ', '.join(
        number_of(number, what)
        for number, what in _left_out(dataset, everything, kept, content)
        if number
    )
    if not (labels or dataset.test_mode):
        raise UserValueError(
            f'{file}: no object is left to train on '
            f'({left_out or "there are none"}); expected at least one image '
            f'with an object of {listed(classes, 8)}'
        )
    counts = listed((f'{n} {labels[i]}' for i, n in enumerate(classes)), 8)
    # A built data set may take only a part, by its indices.
    taken = len(dataset if content is None else kept)
    name = Path(file).name or type(dataset).__name__
    return [
        f'{name}: {taken} of {number_of(len(everything), "images")} and '
        f'{number_of(labels.total(), "objects")} are used ({counts})',
        *([f'left out: {left_out}'] if left_out else []),
    ]


def _indexed(content: dict[str, Any]) -> COCO:
    # Reading adds to the entries of the images.
    images = [dict(entry) for entry in content['images']]
    api = index(COCO, content | dict(images=images))
    # mmdet's names of what the index has just made.
    api.img_ann_map, api.cat_img_map = api.imgToAnns, api.catToImgs
    return api


def _left_out(
    dataset: BaseDataset,
    everything: list[dict],
    kept: list[dict],
    content: dict[str, Any] | None,
) -> list[tuple[int, str]]:
    """Count what is left out, by reason."""
    ids = {id(info) for info in kept}
    reasons = Counter(
        _reason(info, dataset.filter_cfg)
        for info in everything
        if id(info) not in ids
    )
    found = [(n, f'images {what}') for what, n in reasons.most_common()]
    instances = [one for info in kept for one in info.get('instances', ())]
    crowds = sum(bool(one.get('ignore_flag')) for one in instances)
    found.append((crowds, 'crowds (iscrowd)'))
    if content is not None:
        images = {info['img_id'] for info in kept}
        there = sum(a['image_id'] in images for a in content['annotations'])
        others = there - len(instances)
        found.append((others, 'objects without an area or of other classes'))
    return found


def _reason(info: dict, filter_cfg: dict) -> str:
    if filter_cfg.get('filter_empty_gt') and not info.get('instances'):
        return 'without objects of the classes (filter_empty_gt)'
    least = filter_cfg.get('min_size', 0)
    if min(info.get('width', least), info.get('height', least)) < least:
        return f'smaller than {least} pixels (min_size)'
    return 'by another rule of filter_cfg'
