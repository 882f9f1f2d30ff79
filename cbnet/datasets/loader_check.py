"""Check the dataloaders of a config before anything is built from them.

torch and mmengine take most of their settings unchecked: a text instead of a
number would end in a worker process, or at the first image, without the name
of the key.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from annotated_types import Ge
from mmdet.registry import DATA_SAMPLERS, DATASETS, TRANSFORMS
from mmengine.config import Config
from torch.utils.data import DataLoader

from ..arguments import BuiltFrom, check_foreign, check_known, check_value
from ..errors import UserTypeError, UserValueError
from ..messages import brief
from .needed_packages import check_packages
from .walking import loads

_Settings = dict[str, Any]
#: what mmengine takes besides torch's own arguments
_OF_MMENGINE = (
    'dataset',
    'sampler',
    'batch_sampler',
    'num_batch_per_epoch',
    'worker_init_fn',
    'collate_fn',
)
_LOADER = dict(
    batch_size=Annotated[int, Ge(1)],
    num_workers=Annotated[int, Ge(0)],
    persistent_workers=bool,
    pin_memory=bool,
    drop_last=bool,
    prefetch_factor=Annotated[int, Ge(1)] | None,
    timeout=Annotated[float, Ge(0)],
    dataset=_Settings,
    sampler=_Settings,
    batch_sampler=_Settings | None,
    collate_fn=_Settings,
)
_DATASET = dict(
    ann_file=str | None,
    data_root=str | None,
    data_prefix=dict[str, str | None] | None,
    metainfo=_Settings | None,
    filter_cfg=_Settings | None,
    indices=int | Sequence[int] | None,
    max_refetch=Annotated[int, Ge(0)],
    pipeline=list,
    serialize_data=bool,
    test_mode=bool,
)
_FILTER = dict(
    filter_empty_gt=bool, min_size=float | int, bbox_min_size=float | int
)
#: what follows the sentence about a wrong value
_INSTEAD = {
    'ann_file': '; several files are read by dict(type="ConcatDataset", '
    'datasets=[...]) with a data set for each',
    'data_prefix': ', such as dict(img="train/")',
    'sampler': ', such as dict(type="DefaultSampler", shuffle=True)',
    'batch_sampler': ', such as dict(type="AspectRatioBatchSampler")',
    'collate_fn': ', such as dict(type="pseudo_collate")',
    'pipeline': ', such as [dict(type="LoadImageFromFile"), ...]',
}
#: the names of mmdet 2, and what they are now
_OLD = {
    'samples_per_gpu': 'batch_size',
    'workers_per_gpu': 'num_workers',
    'img_prefix': 'data_prefix=dict(img=...)',
    'seg_prefix': 'data_prefix=dict(seg=...)',
    'classes': 'metainfo=dict(classes=...)',
    'CLASSES': 'classes',
}


def check_loaders(cfg: Config, *splits: str) -> list[str]:
    """Check the dataloaders of some splits: ``train``, ``val``, ``test``.

    Settings that make no sense without worker processes are taken out of a
    dataloader that has none.

    Returns:
        Lines that tell the user what was taken out.

    Raises:
        ValueError: a value is out of range, or names nothing that exists; or
            a package is missing that a data set or metric needs.
        TypeError: a value is of another kind.
    """
    check_packages(cfg, *splits)
    lines = []
    for split in splits:
        key = f'{split}_dataloader'
        if loader := cfg.get(key):
            check_value(key, _Settings, loader)
            _check_loader(key, loader, cfg)
            lines += _without_workers(key, loader)
    if 'train' in splits:
        _check_masks(cfg)
    return lines


def _check_loader(key: str, loader: _Settings, cfg: Config) -> None:
    _refuse_old(key, loader, 'samples_per_gpu', 'workers_per_gpu')
    for name in ('dataset', 'sampler'):
        if name not in loader and not isinstance(loader, DataLoader):
            raise UserValueError(f'{key} has no {name}, which it needs')
    own = {k: v for k, v in loader.items() if k not in _OF_MMENGINE}
    check_foreign(key, DataLoader, own, complete=False)
    _check_values(key, _LOADER, loader)
    known = cfg.get('default_scope', 'mmdet') in (None, 'mmdet')
    for name in ('sampler', 'batch_sampler'):
        if known and loader.get(name):
            built = BuiltFrom(DATA_SAMPLERS, complete=False)
            built.check(f'{key}.{name}', loader[name])
    steps = 0
    for place, dataset in _datasets(f'{key}.dataset', loader['dataset']):
        _check_dataset(place, dataset)
        pipeline = dataset.get('pipeline') or ()
        steps += len(pipeline)
        if known:
            BuiltFrom(DATASETS).check(place, dataset)
            for i, step in enumerate(pipeline):
                _check_step(f'{place}.pipeline[{i}]', step)
    if not steps:
        raise UserValueError(
            f'{key}.dataset.pipeline is empty; expected the steps from the '
            f'file to the input of the model{_INSTEAD["pipeline"]}'
        )


def _check_dataset(key: str, dataset: _Settings) -> None:
    _refuse_old(key, dataset, 'img_prefix', 'seg_prefix', 'classes')
    _check_values(key, _DATASET, dataset)
    _check_values(
        f'{key}.filter_cfg', _FILTER, dataset.get('filter_cfg') or {}
    )
    if dataset.get('type') == 'CocoDataset' and not dataset.get('ann_file'):
        raise UserValueError(
            f'{key}.ann_file is not given; expected the annotation file, '
            f'relative to data_root'
        )
    metainfo = dataset.get('metainfo') or {}
    _refuse_old(f'{key}.metainfo', metainfo, 'CLASSES')
    _check_classes(key, metainfo.get('classes', ()))


def _refuse_old(key: str, settings: _Settings, *names: str) -> None:
    for name in names:
        if name in settings:
            raise UserValueError(
                f'{key} has no argument {name!r}, which mmdet 2 had; it is '
                f'{_OLD[name]} now'
            )


def _check_values(
    key: str, kinds: Mapping[str, Any], settings: Mapping[str, Any]
) -> None:
    for name in kinds:
        try:
            check_known(key, {name: kinds[name]}, settings)
        except (UserTypeError, UserValueError) as error:
            more = _INSTEAD.get(name, '')
            raise type(error)(f'{error}{more}') from None


def _datasets(key: str, dataset: _Settings) -> Iterator[tuple[str, _Settings]]:
    """Yield a data set and those that it wraps, with their places."""
    check_value(key, _Settings, dataset)
    yield key, dataset
    if dataset.get('dataset') is not None:
        yield from _datasets(f'{key}.dataset', dataset['dataset'])
    check_value(f'{key}.datasets', list[Any] | None, dataset.get('datasets'))
    for i, one in enumerate(dataset.get('datasets') or ()):
        yield from _datasets(f'{key}.datasets[{i}]', one)


def _check_classes(key: str, classes: Any) -> None:
    listed = isinstance(classes, list | tuple)
    if not isinstance(classes, str) and not (
        listed and all(isinstance(name, str) for name in classes)
    ):
        raise UserTypeError(
            f'{key}.metainfo.classes={brief(classes)}; expected a list of '
            f'names; a name that is a number needs quotes'
        )


def _check_step(key: str, step: Any) -> None:
    if callable(step):  # a config that is no text may hold the object
        return
    check_value(key, _Settings, step)
    BuiltFrom(TRANSFORMS).check(key, step)


def _without_workers(key: str, loader: _Settings) -> list[str]:
    if loader.get('num_workers', 0):
        return []
    useless = [
        name
        for name in ('persistent_workers', 'prefetch_factor', 'timeout')
        if loader.get(name)
    ]
    for name in useless:
        del loader[name]
    return [f'{key}: without workers there is no {name}' for name in useless]


def _check_masks(cfg: Config) -> None:
    loader, model = cfg.get('train_dataloader'), cfg.get('model') or {}
    head = isinstance(model, dict) and model.get('roi_head')
    if (
        isinstance(head, dict)
        and head.get('mask_head')
        and loads(loader, 'with_bbox')
        and not loads(loader, 'with_mask')
    ):
        raise UserValueError(
            'model.roi_head.mask_head learns from masks, but no '
            'LoadAnnotations of train_dataloader has with_mask=True; set it, '
            'or set mask_head and mask_roi_extractor to None'
        )
