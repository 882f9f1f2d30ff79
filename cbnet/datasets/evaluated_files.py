"""Compare the file that a metric reads with the file of its data set.

In mmdet both are named for themselves.  If only one is changed, detections
are compared with the objects of other images that have the same ids.
"""

import os
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from ..errors import UserValueError
from ..messages import brief, number_of
from .annotations import read_coco
from .coco_entries import is_id
from .coco_lists import by_id

_KIND = 'CocoMetric'


def metrics_of(evaluator: Any) -> list[Any]:
    """List the configs of the metrics of an evaluator."""
    if isinstance(evaluator, dict) and 'metrics' in evaluator:
        evaluator = evaluator['metrics']
    if isinstance(evaluator, list | tuple):
        return [*evaluator]
    return [evaluator] if evaluator else []


def require_same_data(
    split: str,
    metrics: Iterable[Any],
    file: str | os.PathLike,
    content: dict[str, Any],
) -> None:
    """Refuse a metric that reads other images or objects than its data set.

    Args:
        split: ``val`` or ``test``.
        metrics: the configs of the metrics.
        file: the annotation file of the data set.
        content: the content of that file. If it has no objects, the metric
            may have some.

    Raises:
        ValueError: names both files, and in what they differ.
    """
    for metric in metrics:
        if not (isinstance(metric, dict) and metric.get('type') == _KIND):
            continue
        other = metric.get('ann_file')
        if not isinstance(other, str) or '://' in other:
            continue
        if Path(other).resolve() == Path(file).resolve():
            continue
        try:
            read = read_coco(other, annotated=not metric.get('format_only'))
        except UserValueError as error:
            raise UserValueError(
                f'{split}_evaluator.ann_file: {error}'
            ) from None
        if difference := _difference(content, read):
            raise UserValueError(
                f'{split}_dataloader reads {file}, but {split}_evaluator.'
                f'ann_file is {other}, in which {difference}; name the same '
                f'file in both'
            )


def _difference(content: dict[str, Any], other: dict[str, Any]) -> str:
    """Say what the other file does not have as this one; empty: nothing."""
    for name, key in (('images', 'file_name'), ('categories', 'name')):
        known = by_id(other, name)
        for entry in content[name]:
            if known.get(entry['id'], {}).get(key) != entry[key]:
                return (
                    f'no entry of {name} has the id {entry["id"]!r} and the '
                    f'{key} {brief(entry[key])}'
                )
    images = by_id(content, 'images')
    own, others = _objects(content, images), _objects(other, images)
    if own and own != others:
        return (
            f'these images have {number_of(others.total(), "objects")} with '
            f'other boxes or classes instead of {own.total()}'
        )
    return ''


def _objects(content: dict[str, Any], images: Collection) -> Counter[str]:
    return Counter(
        repr([one.get(key) for key in ('image_id', 'category_id', 'bbox')])
        for one in content['annotations']
        if is_id(one.get('image_id')) and one['image_id'] in images
    )
