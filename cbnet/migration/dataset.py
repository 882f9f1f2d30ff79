"""Convert datasets of mmdet 2.x: COCO's format, wrapped or concatenated."""

from pathlib import Path
from typing import Any

from mmdet.datasets import CocoDataset
from mmdet.registry import DATASETS
from mmengine.fileio import list_from_file

from ..errors import UserValueError
from .pipeline import convert_pipeline
from .section import Section
from .transforms import storage

# wrappers with the same name in 3.x, and their arguments
WRAPPERS = {
    'RepeatDataset': ('times',),
    'ClassBalancedDataset': ('oversample_thr',),
    'MultiImageMixDataset': (),
}


def convert_dataset(parent: Section, key: str, train: bool) -> dict[str, Any]:
    """Convert a dataset, or a list of datasets, which is a concatenation.

    Raises:
        ValueError: a dataset is not in the COCO format.
    """
    if isinstance(parent.values.get(key), list | tuple):
        parts = [_dataset(part, train) for part in parent.sections(key)]
        return dict(type='ConcatDataset', datasets=parts)
    return _dataset(parent.section(key), train)


def _dataset(section: Section, train: bool) -> dict[str, Any]:
    kind = section.take('type')
    if kind == 'ConcatDataset':
        return convert_dataset(section, 'datasets', train)
    if kind not in WRAPPERS:
        return _coco(kind, section, train)
    inner = convert_dataset(section, 'dataset', train)
    new = dict(type=kind, dataset=inner, **section.keep(*WRAPPERS[kind]))
    if 'pipeline' in section.values:
        new['pipeline'] = convert_pipeline(section, train)
    return new


def _coco(kind: str | None, section: Section, train: bool) -> dict[str, Any]:
    found = DATASETS.get(kind) if kind else None
    if not (isinstance(found, type) and issubclass(found, CocoDataset)):
        raise UserValueError(
            f'{section.name("type")}={kind!r}; only datasets in the COCO '
            f'format are migrated: convert the annotations, or delete data '
            f'and write the dataloaders by hand'
        )
    new = dict(type=kind)
    paths = section.keep('ann_file', img_prefix='img', seg_prefix='seg')
    paths = {key: path for key, path in paths.items() if path is not None}
    root, common = section.take('data_root'), section.state.data_root
    if root is None and common:
        given = paths.values()
        if all(isinstance(p, str) and p.startswith(common) for p in given):
            root = common
            paths = {k: path.removeprefix(root) for k, path in paths.items()}
    if root is not None:
        new['data_root'] = root
    classes = _classes(section)
    if classes is not None:
        new['metainfo'] = dict(classes=classes)
    filter_empty = section.take('filter_empty_gt', True)
    if train:  # mmdet 2.x always dropped images below 32 pixels
        new['filter_cfg'] = dict(filter_empty_gt=filter_empty, min_size=32)
    if section.take('test_mode', not train):
        new['test_mode'] = True
    new['pipeline'] = convert_pipeline(section, train)
    return _with_paths(new | storage(section), paths)


def _classes(section: Section) -> tuple[str, ...] | None:
    classes = section.take('classes')
    if not isinstance(classes, str):
        return None if classes is None else tuple(classes)
    if not Path(classes).is_file():
        section.note('classes', f'no file {classes}: left out')
        return None
    return tuple(list_from_file(classes))


def _with_paths(new: dict[str, Any], paths: dict[str, Any]) -> dict[str, Any]:
    """Add a dataset's paths; each annotation file makes a dataset."""
    files = paths.pop('ann_file', '')
    if isinstance(files, str):
        return new | dict(ann_file=files, data_prefix=dict(img='') | paths)
    parts = []
    for i, file in enumerate(files):
        own = {k: p if isinstance(p, str) else p[i] for k, p in paths.items()}
        parts.append(_with_paths(new, dict(own, ann_file=file)))
    return dict(type='ConcatDataset', datasets=parts)
