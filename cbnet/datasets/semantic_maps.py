"""Find the semantic maps of a config before anything runs."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mmdet.datasets import CocoDataset
from mmengine.config import Config

from ..errors import UserValueError

_WITHOUT_SEMANTIC = '_without_semantic'


def map_folder(cfg: Config, dataset: CocoDataset) -> str | None:
    """Give the folder of the semantic maps; None if they are not needed."""
    folder = dataset.data_prefix.get('seg')
    # In an evaluation, mmdet ignores maps that do not exist.
    if folder or dataset.test_mode:
        return folder
    raise UserValueError(
        'data_prefix has no seg, the folder of the semantic maps, which the '
        f'pipeline loads (with_seg=True); name it, or {take_variant(cfg)}'
    )


def check_maps(
    folder: str,
    cfg: Config,
    dataset: CocoDataset,
    content: dict[str, Any],
) -> None:
    """Look for the map of every image that a data set will read.

    Args:
        folder: the folder of the maps.
        cfg: the config of the data set.
        dataset: the data set.
        content: the content of its file.

    Raises:
        ValueError: the folder or a map is not there; says which.
    """
    images = content['images']
    if (dataset.filter_cfg or {}).get('filter_empty_gt'):
        used = {one['image_id'] for one in content['annotations']}
        images = [image for image in images if image['id'] in used]
    names = [image['file_name'] for image in images]
    suffix = dataset.seg_map_suffix
    check_semantic_maps(folder, names, take_variant(cfg), suffix)


def check_semantic_maps(
    folder: str | os.PathLike,
    file_names: Iterable[str],
    advice: str,
    suffix: str = '.png',
) -> None:
    """Look for the map of every image; list each folder only once.

    A map has its image's name with another suffix. The advice completes the
    message "put them there, or ...".
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserValueError(
            f'{folder}: there is no such folder of semantic maps '
            f'(stuffthingmaps), which the config learns from; put them '
            f'there, or {advice}'
        )
    maps = [f'{name.rsplit(".", 1)[0]}{suffix}' for name in file_names]
    found = {
        os.path.join(parent, name)
        for parent in {os.path.dirname(name) for name in maps}
        if (folder / parent).is_dir()
        for name in os.listdir(folder / parent)
    }
    missing = [name for name in maps if name not in found]
    if missing:
        raise UserValueError(
            f'{folder / missing[0]}: the semantic map is not there '
            f'({len(missing)} of {len(maps)} images have none in {folder}); '
            f'put them there, or {advice}'
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
