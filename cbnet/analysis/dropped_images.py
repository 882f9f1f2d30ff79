"""Say which images of a data set are filtered out, and why."""

import contextlib
import copy
import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.dataset import BaseDataset


def leaf_datasets(dataset: Any) -> Iterator[Any]:
    """Give the data sets inside wrappers such as ``RepeatDataset``."""
    for name in ('datasets', 'dataset', '_dataset'):
        inner = getattr(dataset, name, None)
        if inner is not None:
            for one in inner if name == 'datasets' else [inner]:
                yield from leaf_datasets(one)
            return
    yield dataset


def describe_dropped(dataset: Any) -> list[str]:
    """Give a line for each data set: images, and those filtered out."""
    return [
        _describe(leaf)
        for leaf in leaf_datasets(dataset)
        if isinstance(leaf, BaseDataset)
    ]


def _describe(leaf: BaseDataset) -> str:
    name = Path(leaf.ann_file).name or type(leaf).__name__
    if leaf.test_mode or not leaf.filter_cfg:
        return f'{name}: {len(leaf)} images, none filtered out'
    # A data set forgets what it dropped, so that the file is read again.
    again = copy.copy(leaf)
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools talks
        again.data_list = everything = again.load_data_list()
        kept = {id(info) for info in again.filter_data()}
    dropped = [info for info in everything if id(info) not in kept]
    reasons = Counter(_reason(info, leaf.filter_cfg) for info in dropped)
    counts = ', '.join(f'{n} {reason}' for reason, n in reasons.most_common())
    line = f'{name}: {len(everything)} images, {len(kept)} kept'
    if dropped:
        line += f' (filtered out: {counts})'
    if len(leaf) != len(kept):
        line += f', {len(leaf)} of them taken by indices'
    return line


def _reason(info: dict, filter_cfg: dict) -> str:
    if filter_cfg.get('filter_empty_gt') and not info.get('instances'):
        return 'without annotation of the classes'
    least = filter_cfg.get('min_size', 0)
    if min(info.get('width', least), info.get('height', least)) < least:
        return f'below {least} pixels'
    return 'by another rule of filter_cfg'
