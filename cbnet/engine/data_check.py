"""Check the annotation files that a config names, before it runs."""

import os
from collections.abc import Iterator
from typing import Any

from mmdet.datasets import CocoDataset
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.fileio import join_path

from ..datasets.coco_check import check_coco

_WRAPPED = ('dataset', 'datasets')


def check_data(cfg: Config, *splits: str) -> None:
    """Check the COCO-format files that some dataloaders of a config read.

    Data sets of other formats, and files that are not on a disk, are left
    to mmdet.

    Args:
        cfg: the config.
        splits: of ``train``, ``val`` and ``test``.

    Raises:
        ValueError: names the file and what is wrong with it.
    """
    checked = set()
    for split in splits:
        for node in _datasets(cfg.get(f'{split}_dataloader') or {}):
            arguments = _arguments(node)
            if arguments is not None and arguments not in checked:
                check_coco(*arguments)
                checked.add(arguments)


def _datasets(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Give the data sets of a dataloader, out of their wrappers."""
    inner = [node[key] for key in _WRAPPED if key in node]
    if not inner and 'ann_file' in node:
        yield node
    for value in inner:
        for one in value if isinstance(value, list | tuple) else [value]:
            if isinstance(one, dict):
                yield from _datasets(one)


def _arguments(node: dict[str, Any]) -> tuple | None:
    kind = node.get('type')
    kind = DATASETS.get(kind) if isinstance(kind, str) else kind
    # Subclasses may read other keys, as LVIS does.
    if kind is not CocoDataset or node.get('backend_args'):
        return None
    root = node.get('data_root') or ''
    images = (node.get('data_prefix') or {}).get('img', '')
    file, images = (
        path if os.path.isabs(path) else join_path(root, path)
        for path in (node['ann_file'], images)
    )
    if '://' in file:
        return None
    classes = (node.get('metainfo') or {}).get('classes')
    if isinstance(classes, str):
        return None  # the name of a file; mmengine reads it
    masks = any(part.get('with_mask') for part in node.get('pipeline') or ())
    return (
        file,
        images or '.',
        tuple(classes or kind.METAINFO['classes']),
        masks and not node.get('test_mode', False),
    )
