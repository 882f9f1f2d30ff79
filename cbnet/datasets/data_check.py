"""Check the annotation files and maps that a config names, before it runs."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmdet.datasets import CocoDataset
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.fileio import join_path

from ..errors import UserValueError
from .coco_check import check_coco
from .semantic_maps import check_semantic_maps

_WRAPPED = ('dataset', 'datasets')
_WITHOUT_SEMANTIC = '_without_semantic'


def check_data(cfg: Config, *splits: str) -> None:
    """Check the COCO-format files that some dataloaders of a config read.

    Where a pipeline loads semantic maps, they have to be there as well.
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
            if arguments is None:
                continue
            maps = _maps(cfg, node)
            if (arguments, maps) not in checked:
                content = check_coco(*arguments)
                if maps:
                    _check_maps(cfg, node, maps, content)
                checked.add((arguments, maps))


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
    file = _join(node, node['ann_file'])
    if '://' in file:
        return None
    classes = (node.get('metainfo') or {}).get('classes')
    if isinstance(classes, str):
        return None  # the name of a file; mmengine reads it
    return (
        file,
        _below(node, 'img') or '.',
        tuple(classes or kind.METAINFO['classes']),
        _loads(node, 'with_mask') and not node.get('test_mode', False),
    )


def _join(node: dict[str, Any], path: str) -> str:
    if os.path.isabs(path):
        return path
    return join_path(node.get('data_root') or '', path)


def _below(node: dict[str, Any], prefix: str) -> str:
    """Give the folder of one of ``data_prefix``'s kinds of files."""
    return _join(node, (node.get('data_prefix') or {}).get(prefix, ''))


def _loads(node: dict[str, Any], what: str) -> bool:
    return any(part.get(what) for part in node.get('pipeline') or ())


def _maps(cfg: Config, node: dict[str, Any]) -> str | None:
    """Give the folder of the semantic maps, if any are loaded."""
    if not _loads(node, 'with_seg'):
        return None
    if (node.get('data_prefix') or {}).get('seg'):
        return _below(node, 'seg')
    # mmdet passes over what is not there, and evaluates without.
    if node.get('test_mode', False):
        return None
    raise UserValueError(
        'data_prefix has no seg, the folder of the semantic maps, which the '
        f'pipeline loads (with_seg=True); name it, or {take_variant(cfg)}'
    )


def _check_maps(
    cfg: Config, node: dict[str, Any], folder: str, content: dict[str, Any]
) -> None:
    images = content['images']
    if (node.get('filter_cfg') or {}).get('filter_empty_gt'):
        used = {one['image_id'] for one in content['annotations']}
        images = [image for image in images if image['id'] in used]
    check_semantic_maps(
        folder,
        [image['file_name'] for image in images],
        take_variant(cfg),
        node.get('seg_map_suffix', '.png'),
    )


def take_variant(cfg: Config) -> str:
    """Say which config does without semantic maps."""
    path = Path(cfg.filename or '')
    variant = path.with_name(f'{path.stem}{_WITHOUT_SEMANTIC}.py')
    if cfg.filename and variant.is_file():
        return f'take the variant that does without: {variant}'
    return (
        'take a variant of the config without a semantic head, as '
        f'configs/cbnet/dual_swin_b{_WITHOUT_SEMANTIC}.py is one'
    )
