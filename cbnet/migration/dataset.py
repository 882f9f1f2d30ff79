"""Datasets of mmdet 2.x: COCO's format, wrapped or concatenated."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mmdet.datasets import CocoDataset
from mmdet.registry import DATASETS
from mmengine.fileio import list_from_file

from ..errors import UserValueError
from .pipeline import convert_pipeline
from .section import Section
from .transforms import Moved, storage

#: wrappers with the same name in 3.x, and their arguments
WRAPPERS = {
    'RepeatDataset': ('times',),
    'ClassBalancedDataset': ('oversample_thr',),
    'MultiImageMixDataset': (),
}


class DatasetConverter:
    """Convert the datasets of one config.

    Args:
        data_root: the folder that the config's paths begin with, if any.
        report: lines for the user.

    Attributes:
        moved: what left the pipelines for the model.
    """

    def __init__(self, data_root: str | None, report: list[str]) -> None:
        self.data_root = data_root
        self.report = report
        self.moved = Moved()

    def convert(self, old: Any, place: str, train: bool) -> dict[str, Any]:
        """Convert a dataset; a list of them is a concatenation.

        Args:
            old: the dataset, or a list.
            place: its name in the config.
            train: whether it is for training.

        Raises:
            ValueError: for a dataset that is not in COCO's format.
        """
        if isinstance(old, list | tuple):
            parts = [
                self.convert(part, f'{place}[{i}]', train)
                for i, part in enumerate(old)
            ]
            return dict(type='ConcatDataset', datasets=parts)
        section = Section(old, place, self.report)
        kind = section.take('type')
        if kind == 'ConcatDataset':
            new = self.convert(
                section.take('datasets'), section.name('datasets'), train
            )
        elif kind in WRAPPERS:
            inner = section.take('dataset')
            new = dict(
                type=kind,
                dataset=self.convert(inner, section.name('dataset'), train),
                **section.keep(*WRAPPERS[kind]),
            )
            if 'pipeline' in section.values:
                new['pipeline'] = self._pipeline(section, train)
        else:
            new = self._coco(kind, section, train)
        section.close()
        return new

    def _pipeline(self, section: Section, train: bool) -> list[dict]:
        return convert_pipeline(
            section.take('pipeline', []),
            section.name('pipeline'),
            self.report,
            self.moved,
            test=not train,
        )

    def _coco(self, kind: str, section: Section, train: bool) -> dict:
        found = DATASETS.get(kind) if kind else None
        if not (isinstance(found, type) and issubclass(found, CocoDataset)):
            raise UserValueError(
                f'{section.name("type")}={kind!r}; only datasets in the '
                f'COCO format are migrated: convert the annotations, or '
                f'delete data and write the dataloaders by hand'
            )
        new = dict(type=kind)
        names = dict(ann_file='ann_file', img_prefix='img', seg_prefix='seg')
        paths = section.rename(names)
        paths = {key: path for key, path in paths.items() if path is not None}
        root = section.take('data_root')
        if root is None and self._below(paths.values()):
            root = self.data_root
            paths = {
                key: path.removeprefix(root) for key, path in paths.items()
            }
        if root is not None:
            new['data_root'] = root
        classes = self._classes(section)
        if classes is not None:
            new['metainfo'] = dict(classes=classes)
        filter_empty = section.take('filter_empty_gt', True)
        test_mode = section.take('test_mode', not train)
        if train:  # 2.x always left out images below 32 pixels
            new['filter_cfg'] = dict(filter_empty_gt=filter_empty, min_size=32)
        if test_mode:
            new['test_mode'] = True
        new['pipeline'] = self._pipeline(section, train)
        return _one_or_many(new | storage(section), paths)

    def _below(self, paths: Iterable[Any]) -> bool:
        return bool(self.data_root) and all(
            isinstance(path, str) and path.startswith(self.data_root)
            for path in paths
        )

    def _classes(self, section: Section) -> tuple[str, ...] | None:
        classes = section.take('classes')
        if not isinstance(classes, str):
            return None if classes is None else tuple(classes)
        if not Path(classes).is_file():
            section.note('classes', f'no file {classes}: left out')
            return None
        return tuple(list_from_file(classes))


def _one_or_many(new: dict[str, Any], paths: dict[str, Any]) -> dict[str, Any]:
    """Put a dataset's paths in; several annotation files: several datasets."""
    files = paths.pop('ann_file', '')
    if isinstance(files, str):
        return new | dict(ann_file=files, data_prefix=dict(img='') | paths)
    parts = []
    for i, file in enumerate(files):
        own = {k: p if isinstance(p, str) else p[i] for k, p in paths.items()}
        parts.append(_one_or_many(new, dict(own, ann_file=file)))
    return dict(type='ConcatDataset', datasets=parts)


def annotation_file(dataset: dict[str, Any]) -> str | None:
    """Give the whole path of a converted dataset's annotation file."""
    if 'ann_file' not in dataset:
        return None
    return os.path.join(dataset.get('data_root', ''), dataset['ann_file'])
