"""Convert datasets of mmdet 2.x: COCO's format, wrapped or concatenated."""

from pathlib import Path
from typing import Any

from mmdet.datasets import CocoDataset
from mmdet.registry import DATASETS
from mmengine.fileio import list_from_file

from ..errors import UserValueError
from .pipeline import convert_pipeline
from .section import Section, given
from .transforms import storage

# wrappers with the same name in 3.x, and their arguments
WRAPPERS = {
    'RepeatDataset': ('times',),
    'ClassBalancedDataset': ('oversample_thr',),
    'MultiImageMixDataset': (),
}


def convert_dataset(parent: Section, key: str, train: bool) -> dict[str, Any]:
    """Convert a dataset, or a list of datasets, which is a concatenation."""
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
    names = dict(ann_file='ann_file', img_prefix='img', seg_prefix='seg')
    paths = given(section.keep(**names))
    root, common = section.take('data_root'), section.state.data_root
    if root is None and common:
        known = paths.values()
        if all(isinstance(p, str) and p.startswith(common) for p in known):
            root = common
            paths = {k: path.removeprefix(root) for k, path in paths.items()}
    filter_empty = section.take('filter_empty_gt', True)
    # mmdet 2.x always dropped images below 32 pixels in training.
    filters = dict(filter_empty_gt=filter_empty, min_size=32)
    new = dict(
        type=kind,
        data_root=root,
        metainfo=_metainfo(section),
        filter_cfg=filters if train else None,
        test_mode=section.take('test_mode', not train) or None,
        pipeline=convert_pipeline(section, train),
        **storage(section),
    )
    return _with_paths(given(new), paths)


def _metainfo(section: Section) -> dict[str, Any] | None:
    classes = section.take('classes')
    if isinstance(classes, str):
        if not Path(classes).is_file():
            section.note('classes', f'no file {classes}: left out')
            return None
        classes = list_from_file(classes)
    return None if classes is None else dict(classes=tuple(classes))


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
