"""Check the annotation files and maps that a config names, before it runs."""

import os
from pathlib import Path
from typing import Any

from mmdet.datasets import CocoDataset
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.fileio import join_path

from ..errors import UserValueError
from .coco_check import check_coco
from .semantic_maps import check_semantic_maps
from .walking import innermost_datasets, loads

_WITHOUT_SEMANTIC = '_without_semantic'


def check_data(cfg: Config, *splits: str) -> None:
    """Check the COCO-format files that some dataloaders of a config read.

    If a pipeline loads semantic maps, they have to exist as well. Data sets
    of other formats, and files that are not on a disk, are left to mmdet.

    Args:
        cfg: the config.
        splits: the splits to check: ``train``, ``val`` and ``test``.

    Raises:
        ValueError: names the file and what is wrong with it.
    """
    checked = set()
    for split in splits:
        for dataset in innermost_datasets(cfg.get(f'{split}_dataloader')):
            arguments = _arguments(dataset)
            if arguments is None:
                continue
            maps = _maps(cfg, dataset)
            if (arguments, maps) not in checked:
                content = check_coco(*arguments)
                if maps:
                    _check_maps(cfg, dataset, maps, content)
                checked.add((arguments, maps))


def _arguments(dataset: dict[str, Any] | None) -> tuple | None:
    """Give the arguments of ``check_coco``; None if it cannot check."""
    if not dataset or 'ann_file' not in dataset:
        return None
    kind = dataset.get('type')
    kind = DATASETS.get(kind) if isinstance(kind, str) else kind
    # Subclasses may read other keys, as LVIS does.
    if kind is not CocoDataset or dataset.get('backend_args'):
        return None
    file = _join(dataset, dataset['ann_file'])
    if '://' in file:
        return None
    classes = (dataset.get('metainfo') or {}).get('classes')
    if isinstance(classes, str):
        return None  # the name of a file; mmengine reads it
    return (
        file,
        _folder(dataset, 'img') or '.',
        tuple(classes or kind.METAINFO['classes']),
        _loads(dataset, 'with_mask') and not dataset.get('test_mode', False),
    )


def _loads(dataset: dict[str, Any], what: str) -> bool:
    return loads(dataset.get('pipeline'), what)


def _join(dataset: dict[str, Any], path: str) -> str:
    if os.path.isabs(path):
        return path
    return join_path(dataset.get('data_root') or '', path)


def _folder(dataset: dict[str, Any], prefix: str) -> str:
    """Give the folder of one of ``data_prefix``'s kinds of files."""
    return _join(dataset, (dataset.get('data_prefix') or {}).get(prefix, ''))


def _maps(cfg: Config, dataset: dict[str, Any]) -> str | None:
    """Give the folder of the semantic maps, if any are loaded."""
    if not _loads(dataset, 'with_seg'):
        return None
    if (dataset.get('data_prefix') or {}).get('seg'):
        return _folder(dataset, 'seg')
    # In an evaluation, mmdet ignores maps that do not exist.
    if dataset.get('test_mode', False):
        return None
    raise UserValueError(
        'data_prefix has no seg, the folder of the semantic maps, which the '
        f'pipeline loads (with_seg=True); name it, or {take_variant(cfg)}'
    )


def _check_maps(
    cfg: Config, dataset: dict[str, Any], folder: str, content: dict[str, Any]
) -> None:
    images = content['images']
    if (dataset.get('filter_cfg') or {}).get('filter_empty_gt'):
        used = {one['image_id'] for one in content['annotations']}
        images = [image for image in images if image['id'] in used]
    check_semantic_maps(
        folder,
        [image['file_name'] for image in images],
        take_variant(cfg),
        dataset.get('seg_map_suffix', '.png'),
    )


def take_variant(cfg: Config) -> str:
    """Name the config that needs no semantic maps, for messages."""
    path = Path(cfg.filename or '')
    variant = path.with_name(f'{path.stem}{_WITHOUT_SEMANTIC}.py')
    if cfg.filename and variant.is_file():
        return f'use the variant that needs none: {variant}'
    return (
        'use a variant of the config without a semantic head, such as '
        f'configs/cbnet/dual_swin_b{_WITHOUT_SEMANTIC}.py'
    )
