"""``data`` and ``evaluation`` of mmdet 2.x: dataloaders and metrics."""

from collections.abc import Mapping
from typing import Any

from .dataset import DatasetConverter, annotation_file
from .section import Section
from .transforms import Moved


def convert_data(
    top: Section, evaluation: Section, by_epoch: bool
) -> tuple[dict[str, Any], Moved]:
    """Take the data out of an old config.

    Args:
        top: the config.
        evaluation: gives up what is measured.
        by_epoch: whether training counts epochs.

    Returns:
        The entries of the new config that speak of data, and what left the
        pipelines for the model.

    Raises:
        ValueError: for a dataset that is not in COCO's format.
    """
    new: dict[str, Any] = {}
    datasets = DatasetConverter(top.values.get('data_root'), top.report)
    data = top.section('data')
    if not data.values:
        top.report.append(
            'data: the config has none; dataloaders and evaluators are '
            'yours to write'
        )
        return new, datasets.moved
    batch = data.take('samples_per_gpu', 1)
    workers = data.take('workers_per_gpu', 2)
    persistent = data.take('persistent_workers', True)
    for split in ('train', 'val', 'test'):
        loader = data.section(f'{split}_dataloader')
        old = data.take(split)
        if not old:
            continue
        size = batch if split == 'train' else 1
        if isinstance(old, Mapping) and 'samples_per_gpu' in old:
            old = dict(old)
            size = old.pop('samples_per_gpu')
        number = loader.take('workers_per_gpu', workers)
        stay = loader.take('persistent_workers', persistent)
        new[f'{split}_dataloader'] = dict(
            batch_size=loader.take('samples_per_gpu', size),
            num_workers=number,
            persistent_workers=bool(stay and number),
            **_sampling(split, by_epoch),
            dataset=datasets.convert(old, data.name(split), split == 'train'),
        )
        loader.close()
    data.close()
    new |= _evaluation(evaluation, new)
    if 'train_dataloader' in new:
        new['auto_scale_lr'] = _base_batch(top, batch)
    return new, datasets.moved


def _sampling(split: str, by_epoch: bool) -> dict[str, Any]:
    if split != 'train':
        return dict(
            drop_last=False,
            sampler=dict(type='DefaultSampler', shuffle=False),
        )
    kind = 'DefaultSampler' if by_epoch else 'InfiniteSampler'
    return dict(
        sampler=dict(type=kind, shuffle=True),
        batch_sampler=dict(type='AspectRatioBatchSampler'),
    )


def _evaluation(evaluation: Section, new: dict[str, Any]) -> dict[str, Any]:
    """Give loops and metrics of the splits that there are."""
    options = dict(metric=evaluation.take('metric', 'bbox'))
    options |= evaluation.keep(
        'classwise', 'proposal_nums', 'iou_thrs', 'metric_items'
    )
    entries: dict[str, Any] = {}
    for split in ('val', 'test'):
        loader = new.get(f'{split}_dataloader')
        if loader is None:
            continue
        entries[f'{split}_cfg'] = dict(type=f'{split.title()}Loop')
        file = annotation_file(loader['dataset'])
        if file is None:
            evaluation.report.append(
                f'{split}_evaluator: data.{split} has several annotation '
                f'files, CocoMetric reads one: yours to write'
            )
            continue
        entries[f'{split}_evaluator'] = dict(
            type='CocoMetric', ann_file=file, **options
        )
    return entries


def _base_batch(top: Section, batch: int) -> dict[str, Any]:
    """Give what the learning rate is scaled by, if asked to."""
    found = top.take('auto_scale_lr')
    if found is not None:
        return dict(found)
    top.report.append(
        f'auto_scale_lr.base_batch_size={8 * batch}: 8 GPUs x '
        f'samples_per_gpu, as mmdet 2.x assumed; correct it if the learning '
        f'rate is meant for another batch'
    )
    return dict(enable=False, base_batch_size=8 * batch)
