"""Adapt any mmdet config to a user's data: classes, data sets, metrics."""

from typing import Any

from mmdet.datasets import CocoDataset
from mmdet.visualization import get_palette
from mmengine.config import Config, ConfigDict

from ..arguments import check_value
from ..errors import UserValueError
from ..messages import listed, number_of
from ..type_names import type_name
from .boxes_only import CONFIG
from .data_check import OTHER_CLASSES
from .own_data import OwnData, Split, written
from .semantic_maps import take_variant
from .walking import loads, walk_dicts

# The settings of a data set or a metric that stay when its data change.
_KEPT = (
    'pipeline',
    'filter_cfg',
    'test_mode',
    'indices',
    'max_refetch',
    'return_classes',  # the prompts of detectors that read them
    'serialize_data',
)
# All but the files, of which there are others, and format_only, with which
# there would be no figures.
_KEPT_OF_METRIC = (
    'classwise',
    'metric_items',
    'outfile_prefix',
    'iou_thrs',
    'proposal_nums',
    'prefix',
    'backend',
    'use_mp_eval',
    'collect_device',
    'collect_dir',
)


_METRICS = 'CocoMetric', 'CheckedCocoMetric'
#: how ``cbnet train`` does without masks
_WITHOUT_MASKS = (
    f'with --boxes-only, or with a config of boxes, such as {CONFIG}'
)


def retarget(
    cfg: Config, data: OwnData, without_masks: str = _WITHOUT_MASKS
) -> list[str]:
    """Set every number of classes, data set and evaluator of a config.

    Args:
        cfg: the config, changed in place. If mmdet needs an annotation file
            in another form, a copy is written below ``cfg.work_dir``.
        data: the data set.
        without_masks: how the command trains boxes alone, for errors.

    Returns:
        Lines that tell the user what was set.

    Raises:
        ValueError: the config needs more than COCO-format data contain.
    """
    for split in ('train', 'val', 'test'):
        loader = cfg.get(f'{split}_dataloader')
        check_value(f'{split}_dataloader', dict | None, loader)
        if loader:
            dataset = loader.get('dataset')
            check_value(f'{split}_dataloader.dataset', dict, dataset)
        evaluator = cfg.get(f'{split}_evaluator')
        check_value(f'{split}_evaluator', dict | list | None, evaluator)
    _refuse_other_tasks(cfg)
    with_masks = loads(cfg.train_dataloader, 'with_mask')
    train, val = data.train, data.val
    for split in filter(None, (train, val)):
        if with_masks and split.maskless:
            objects = number_of(len(split.content['annotations']), 'objects')
            raise UserValueError(
                f'{split.annotations}: the config trains masks, but '
                f'{split.maskless} of {objects} have none (segmentation); '
                f'add them, or train boxes alone: {without_masks}'
            )
    copies = f'{cfg.work_dir}/annotations'
    train = written(train, train.classes, copies)
    number = len(train.classes)
    changed = set_num_classes(cfg.model, number)
    _exchange(cfg.train_dataloader, train)
    lines = [
        f'classes: {number} ({listed(train.classes, 8)}), set at '
        f'{number_of(changed, "places")}',
        f'train on {train.annotations}, images in {train.images}',
        *data.notes,
        *(
            f'{split.annotations}: {line}'
            for split in filter(None, (data.train, data.val))
            for line in split.repairs
        ),
    ]
    if val is None:
        _drop_validation(cfg)
        return [*lines, 'no validation, as requested']
    val = written(val, train.classes, copies)
    for name in ('val', 'test'):
        if not cfg.get(f'{name}_dataloader'):
            raise UserValueError(
                f'{name}_dataloader: the config has none, expected one for '
                'the evaluation; use a config that has one, or train without '
                'it: `cbnet train --no-val`'
            )
        _exchange(cfg[f'{name}_dataloader'], val)
        cfg[f'{name}_evaluator'] = _evaluator(
            cfg.get(f'{name}_evaluator'), val, with_masks
        )
    return [*lines, f'evaluate on {val.annotations}, images in {val.images}']


def set_num_classes(model: ConfigDict, number: int) -> int:
    """Set the number of object classes everywhere in a model's config.

    Returns:
        The number of places that were set.

    Raises:
        ValueError: the model also learns stuff, or has a weight for each
            class.
    """
    changed = 0
    for parent in walk_dicts(model, skip=OTHER_CLASSES):
        for key, value in list(parent.items()):
            if key in ('num_classes', 'num_things_classes'):
                parent[key], changed = number, changed + 1
            elif key == 'num_stuff_classes' and value:
                raise UserValueError(
                    f'model: {key}={value}, but COCO-format instances have '
                    'no stuff; use a config for instance segmentation'
                )
            elif key == 'class_weight' and isinstance(value, list):
                parent[key] = _class_weight(value, number)
    return changed


def _class_weight(weights: list[float], number: int) -> list[float]:
    *objects, background = weights
    if len(set(objects)) > 1:
        raise UserValueError(
            f'model: class_weight weighs {len(objects)} classes differently, '
            'expected one weight for all of them; set it with --cfg-options'
        )
    return objects[:1] * number + [background]


def _refuse_other_tasks(cfg: Config) -> None:
    loader = cfg.get('train_dataloader')
    types = [*map(type_name, walk_dicts(loader))]
    more = 'needs more than COCO-format instances; use a config without it'
    for found, problem in (
        (not loader, 'the config has none, expected one to train with'),
        (
            loads(loader, 'with_seg'),
            'the config learns from semantic maps (LoadAnnotations '
            'with_seg=True), which COCO-format instances do not have; '
            f'{take_variant(cfg)}',
        ),
        (
            'GroupMultiSourceSampler' in types,
            'the config mixes labelled and unlabelled data '
            '(GroupMultiSourceSampler); use its supervised variant',
        ),
        (
            'LoadPanopticAnnotations' in types,
            f'the pipeline has LoadPanopticAnnotations, which {more}',
        ),
        (
            'LoadProposals' in types,
            f'the pipeline has LoadProposals, which {more}',
        ),
    ):
        if found:
            raise UserValueError(f'train_dataloader: {problem}')


def _exchange(node: ConfigDict, split: Split) -> ConfigDict:
    """Exchange the data sets inside a dataloader and its wrappers for one."""
    if 'dataset' in node:
        node.dataset = _exchange(node.dataset, split)
        return node
    if 'datasets' in node:
        return _exchange(node.datasets[0], split)
    metainfo = dict(classes=split.classes)
    # mmdet's visualizer needs a colour for every class.
    if len(split.classes) > len(CocoDataset.METAINFO['palette']):
        metainfo['palette'] = get_palette('random', len(split.classes))
    return ConfigDict(
        type='CocoDataset',
        ann_file=str(split.annotations),
        data_prefix=dict(img=f'{split.images}/'),
        metainfo=metainfo,
        **{key: node[key] for key in _KEPT if key in node},
    )


def _evaluator(old: Any, split: Split, with_masks: bool) -> ConfigDict:
    old = old if isinstance(old, list | tuple) else [old or {}]
    kept = next((m for m in old if type_name(m) in _METRICS), {})
    metric = kept.get('metric', ['bbox', 'segm'] if with_masks else 'bbox')
    if not with_masks and 'segm' in metric:
        metric = ['bbox']
    options = {key: kept[key] for key in _KEPT_OF_METRIC if key in kept}
    return ConfigDict(
        type='CocoMetric',
        ann_file=str(split.annotations),
        metric=metric,
        **options,
    )


def _drop_validation(cfg: Config) -> None:
    for name in ('val', 'test'):
        for part in ('dataloader', 'evaluator', 'cfg'):
            cfg[f'{name}_{part}'] = None
    # These need the results of a validation.
    checkpoint = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    checkpoint.pop('save_best', None)
    hooks = cfg.get('custom_hooks') or []
    cfg.custom_hooks = [
        hook for hook in hooks if type_name(hook) != 'EarlyStoppingHook'
    ]
