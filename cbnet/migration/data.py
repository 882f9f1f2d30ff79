"""Convert ``data`` and ``evaluation`` into dataloaders and evaluators."""

import os
from collections.abc import Mapping
from typing import Any

from .dataset import convert_dataset
from .section import Section


def convert_data(top: Section) -> dict[str, Any]:
    """Convert the dataloaders, evaluators and loops of evaluation."""
    new: dict[str, Any] = {}
    data, state = top.section('data'), top.state
    state.data_root = top.values.get('data_root')
    if not data.values:
        text = 'missing; write the dataloaders and evaluators by hand'
        top.note('data', text)
        return new
    batch = data.take('samples_per_gpu', 1)
    workers = data.take('workers_per_gpu', 2)
    persistent = data.take('persistent_workers', True)
    kind = 'DefaultSampler' if state.by_epoch else 'InfiniteSampler'
    training = dict(
        sampler=dict(type=kind, shuffle=True),
        batch_sampler=dict(type='AspectRatioBatchSampler'),
    )
    testing = dict(
        drop_last=False, sampler=dict(type='DefaultSampler', shuffle=False)
    )
    for split in ('train', 'val', 'test'):
        train = split == 'train'
        loader = data.section(f'{split}_dataloader')
        published = data.values.get(split)
        if not published:
            continue
        size = batch if train else 1
        if isinstance(published, Mapping):
            size = data.take(f'{split}.samples_per_gpu', size)
        number = loader.take('workers_per_gpu', workers)
        stay = loader.take('persistent_workers', persistent)
        new[f'{split}_dataloader'] = dict(
            batch_size=loader.take('samples_per_gpu', size),
            num_workers=number,
            persistent_workers=bool(stay and number),
            **(training if train else testing),
            dataset=convert_dataset(data, split, train),
        )
    new |= _evaluation(top.section('evaluation'), new)
    if 'train_dataloader' in new:
        size = new['train_dataloader']['batch_size']
        new['auto_scale_lr'] = _base_batch(top, size)
    return new


def _evaluation(evaluation: Section, new: dict[str, Any]) -> dict[str, Any]:
    """Return the loops and metrics of the splits that exist."""
    options = dict(metric=evaluation.take('metric', 'bbox'))
    options |= evaluation.keep(
        'classwise', 'proposal_nums', 'iou_thrs', 'metric_items'
    )
    entries: dict[str, Any] = {}
    for split in ('val', 'test'):
        if f'{split}_dataloader' not in new:
            continue
        entries[f'{split}_cfg'] = dict(type=f'{split.title()}Loop')
        dataset = new[f'{split}_dataloader']['dataset']
        if 'ann_file' in dataset:
            root = dataset.get('data_root', '')
            file = os.path.join(root, dataset['ann_file'])
            entries[f'{split}_evaluator'] = dict(
                type='CocoMetric', ann_file=file, **options
            )
        else:
            evaluation.report(
                f'{split}_evaluator: data.{split} has several annotation '
                f'files, but CocoMetric reads one; write it by hand'
            )
    return entries


def _base_batch(top: Section, batch: int) -> dict[str, Any]:
    """Return the batch size that the learning rate is meant for."""
    found = top.take('auto_scale_lr')
    if found is not None:
        return dict(found)
    top.report(
        f'auto_scale_lr.base_batch_size={8 * batch}: 8 GPUs x '
        f'samples_per_gpu, as mmdet 2.x assumed; correct it if the learning '
        f'rate is meant for another batch'
    )
    return dict(enable=False, base_batch_size=8 * batch)
