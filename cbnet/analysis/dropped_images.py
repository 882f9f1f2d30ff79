"""Count the images that a data set filters out, with the reasons."""

import contextlib
import copy
import io
from collections import Counter
from pathlib import Path
from typing import Any

from mmengine.dataset import BaseDataset

from ..datasets.walking import innermost_datasets


def describe_dropped(dataset: Any) -> list[str]:
    """Describe in a line for each data set what it keeps and filters out."""
    return [
        _describe(one)
        for one in innermost_datasets(dataset)
        if isinstance(one, BaseDataset)
    ]


def _describe(dataset: BaseDataset) -> str:
    name = Path(dataset.ann_file).name or type(dataset).__name__
    if dataset.test_mode or not dataset.filter_cfg:
        return f'{name}: {len(dataset)} images, none filtered out'
    # A data set forgets what it filtered out, so the file is read again.
    again = copy.copy(dataset)
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints
        again.data_list = everything = again.load_data_list()
        kept = {id(info) for info in again.filter_data()}
    dropped = Counter(
        _reason(info, dataset.filter_cfg)
        for info in everything
        if id(info) not in kept
    )
    line = f'{name}: {len(everything)} images, {len(kept)} kept'
    if dropped:
        reasons = (f'{n} {reason}' for reason, n in dropped.most_common())
        line += f' (filtered out: {", ".join(reasons)})'
    if len(dataset) != len(kept):
        line += f', {len(dataset)} of them taken by indices'
    return line


def _reason(info: dict, filter_cfg: dict) -> str:
    if filter_cfg.get('filter_empty_gt') and not info.get('instances'):
        return 'without annotation of the classes'
    least = filter_cfg.get('min_size', 0)
    if min(info.get('width', least), info.get('height', least)) < least:
        return f'below {least} pixels'
    return 'by another rule of filter_cfg'
