"""Migrate published configs (mmdet 2.x).

1. The published Faster R-CNN: every setting equals that of this package's own
   config, and the model has the same names and shapes; only the batch size
   that the learning rate is meant for is reported.
2. A config with everything: each section says the same in mmdet 3.x.
3. Dataloaders, samples and evaluators are built from the migrated file, on
   the tiny data set.
"""

import numpy as np
import pytest
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from cbnet.models.building import build_without_weights

from ..test_configs.published_recipes import load, without_scopes


def test_the_published_faster_rcnn(migrate, tiny_coco):
    new, report, problem = migrate('faster_r50.py')
    ours = load('dual_r50')
    assert problem is None
    assert [line.split('=')[0] for line in report] == [
        'auto_scale_lr.base_batch_size'
    ]
    found, expected = new.model.to_dict(), ours.model.to_dict()
    assert found['backbone'].pop('connection') == dict(zero_init=True)
    # mmdet 3.x writes this beside the published settings, or as a default.
    expected['data_preprocessor'].pop('pad_mask', None)
    found['data_preprocessor'].pop('pad_mask', None)
    assert without_scopes(found) == without_scopes(expected)
    for key in ('optim_wrapper', 'param_scheduler', 'val_cfg', 'test_cfg',
                'auto_scale_lr', 'train_cfg'):  # fmt: skip
        assert without_scopes(new[key]) == without_scopes(ours[key]), key
    for split in ('train', 'val', 'test'):
        name = f'{split}_dataloader'
        loader, theirs = without_scopes(new[name]), without_scopes(ours[name])
        dataset, their_set = loader.pop('dataset'), theirs.pop('dataset')
        assert loader == theirs
        assert _pipeline(dataset) == _pipeline(their_set)
        assert dataset.get('filter_cfg') == their_set.get('filter_cfg')
        assert dataset.get('test_mode') == their_set.get('test_mode')
        file = f'{"train" if split == "train" else "val"}'
        assert dataset['data_root'] == f'{tiny_coco.root}/'
        assert dataset['ann_file'] == f'{file}.json'
        assert dataset['data_prefix'] == dict(img=f'{file}/')
        assert dataset['metainfo'] == dict(classes=tiny_coco.classes)
    assert new.val_evaluator.ann_file == f'{tiny_coco.root}/val.json'
    assert new.val_evaluator.metric == 'bbox'
    assert new.default_hooks.checkpoint.interval == 1
    assert [hook.type for hook in new.custom_hooks] == ['NumClassCheckHook']
    one, other = (build_without_weights(cfg) for cfg in (new, ours))
    assert {n: p.shape for n, p in one.state_dict().items()} == {
        n: p.shape for n, p in other.state_dict().items()
    }


def _pipeline(dataset):
    """The pipeline without None, which the bases of 3.x write out."""
    return [
        {key: v for key, v in transform.items() if v is not None}
        for transform in dataset['pipeline']
    ]


def test_everything_model(everything):
    new, _, problem = everything
    assert problem is None
    model = new.model
    assert (model.type, model.base) == (
        'AssistedDetector',
        'HybridTaskCascade',
    )
    assert model.assistance == dict(weights=[0.5], proposals='lead')
    assert model.backbone.type == 'CompositeBackbone'
    assert model.backbone.shared_stages == 1
    assert model.neck.type == 'FPN'
    assert model.neck.end_level == 3
    assert model.data_preprocessor == dict(
        type='DetDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_size_divisor=32,
        pad_mask=True,
        pad_seg=True,
        seg_pad_value=0,  # as 2.x
    )
    assert model.roi_head.type == 'StageMeanHTCRoIHead'
    head = model.roi_head.semantic_head
    assert head.seg_scale_factor == 1 / 8
    assert head.loss_seg == dict(
        type='CrossEntropyLoss',
        ignore_index=255,
        loss_weight=0.2,
        avg_non_ignore=True,
    )
    assert 'ignore_label' not in head and 'loss_weight' not in head


def test_everything_schedule_and_runtime(everything):
    new, _, _ = everything
    assert new.optim_wrapper == dict(
        type='AmpOptimWrapper',
        loss_scale='dynamic',
        optimizer=dict(
            type='AdamW', lr=0.0001, betas=(0.9, 0.999), weight_decay=0.05
        ),
        paramwise_cfg=dict(
            custom_keys={
                'norm': dict(decay_mult=0.0),
                'backbone.connections': dict(lr_mult=2.0),
            }
        ),
        clip_grad=dict(max_norm=35, norm_type=2),
        accumulative_counts=2,
    )
    assert new.param_scheduler == [
        dict(type='ConstantLR', factor=0.1, by_epoch=False, begin=0, end=100),
        dict(
            type='CosineAnnealingLR',
            T_max=36,
            eta_min_ratio=0.01,
            by_epoch=True,
            begin=0,
            end=36,
        ),
    ]
    assert new.train_cfg == dict(
        type='EpochBasedTrainLoop',
        max_epochs=36,
        val_interval=2,
        val_begin=20,
    )
    checkpoint = new.default_hooks.checkpoint
    assert checkpoint.type == 'CheckpointHook'  # the base's
    assert (checkpoint.interval, checkpoint.max_keep_ckpts) == (2, 3)
    assert checkpoint.save_best == 'coco/bbox_mAP'
    assert new.default_hooks.logger.interval == 10
    assert [b.type for b in new.visualizer.vis_backends] == [
        'LocalVisBackend',
        'TensorboardVisBackend',
    ]
    assert new.randomness == dict(seed=7)
    assert new.env_cfg.mp_cfg.opencv_num_threads == 0
    assert new.find_unused_parameters
    assert new.load_from == 'published.pth' and not new.resume
    assert [hook.type for hook in new.custom_hooks] == ['NumClassCheckHook']


def test_everything_data(everything, tiny_coco):
    new, _, _ = everything
    loader = new.train_dataloader
    assert (loader.batch_size, loader.num_workers) == (1, 0)
    assert not loader.persistent_workers
    assert new.val_dataloader.batch_size == 2
    assert new.test_dataloader.batch_size == 1
    repeated = loader.dataset
    assert (repeated.type, repeated.times) == ('RepeatDataset', 3)
    assert repeated.dataset.type == 'ConcatDataset'
    for part, split in zip(
        repeated.dataset.datasets, ('train', 'val'), strict=True
    ):
        assert part.ann_file == f'{tiny_coco.root}/{split}.json'
        assert part.data_prefix == dict(
            img=f'{tiny_coco.root}/{split}/', seg=f'{tiny_coco.root}/stuff/'
        )
        assert part.pipeline == repeated.dataset.datasets[0].pipeline
    pipeline = {t.type: t for t in repeated.dataset.datasets[0].pipeline}
    assert list(pipeline) == [
        'LoadImageFromFile',
        'LoadAnnotations',
        'RandomResize',
        'RandomFlip',
        'RandomChoice',
        'PhotoMetricDistortion',
        'Rotate',
        'PackDetInputs',
    ]
    assert pipeline['RandomResize'].scale == [(1600, 400), (1600, 1400)]
    assert pipeline['RandomFlip'].prob == 0.5
    first, second = pipeline['RandomChoice'].transforms
    choice = dict(
        type='RandomChoiceResize',
        scales=[(480, 1333), (512, 1333)],
        keep_ratio=True,
    )
    assert first == [choice]
    assert second == [
        dict(
            type='RandomResize',
            scale=(400, 1333),
            ratio_range=(0.8, 1.2),
            keep_ratio=True,
        ),
        dict(
            type='RandomCrop',
            crop_type='absolute_range',
            crop_size=(384, 600),
            allow_negative_crop=True,
        ),
        dict(type='RandomCrop', crop_size=(300, 200)),  # (w, h) in 3.x
        choice,
    ]
    tested = new.test_dataloader.dataset.pipeline
    assert [t.type for t in tested] == [
        'LoadImageFromFile',
        'Resize',
        'LoadAnnotations',
        'PackDetInputs',
    ]
    assert tested[1].scale == (1600, 1000) and tested[1].keep_ratio
    assert tested[2].with_mask
    assert new.val_evaluator.metric == ['bbox', 'segm']
    assert new.val_evaluator.classwise


@pytest.mark.parametrize(
    ('line', 'expected'),
    [
        ('fp16 = dict(loss_scale=512.)', ('AmpOptimWrapper', 512.0)),
        (
            "optimizer_config = dict(type='DistOptimizerHook', use_fp16=True)",
            ('AmpOptimWrapper', 'dynamic'),
        ),
        (
            "runner = dict(type='EpochBasedRunnerAmp')",
            ('AmpOptimWrapper', 'dynamic'),
        ),
        ('fp16 = None', ('OptimWrapper', None)),
    ],
)
def test_mixed_precision(line, expected, convert_with):
    wrapper = convert_with(line)[0]['optim_wrapper']
    assert (wrapper['type'], wrapper.get('loss_scale')) == expected


def test_iterations_instead_of_epochs(convert_with):
    new, _ = convert_with(
        "runner = dict(_delete_=True, type='IterBasedRunner', max_iters=90)\n"
        'lr_config = dict(step=[60, 80], warmup_ratio=0.1)\n'
        'evaluation = dict(interval=30)\n',
    )
    assert new['train_cfg'] == dict(
        type='IterBasedTrainLoop', max_iters=90, val_interval=30
    )
    assert new['train_dataloader']['sampler']['type'] == 'InfiniteSampler'
    warmup, steps = new['param_scheduler']
    assert (warmup['by_epoch'], warmup['start_factor']) == (False, 0.1)
    assert (steps['by_epoch'], steps['milestones']) == (False, [60, 80])
    assert not new['default_hooks']['checkpoint']['by_epoch']
    assert not new['log_processor']['by_epoch']


def test_iterations_without_settings_of_checkpoints(convert_with):
    """The interval of mmdet's own runtime, 1, counts epochs."""
    new, _ = convert_with(
        "runner = dict(_delete_=True, type='IterBasedRunner', max_iters=90)\n"
        'checkpoint_config = None\n',
    )
    assert 'checkpoint' not in new['default_hooks']


def test_data_and_evaluators_are_built(migrate, everything):
    """Train and val samples of the tiny data set, through both pipelines."""
    for new in (migrate('faster_r50.py')[0], everything[0]):
        for split in ('train', 'val', 'test'):
            cfg = new[f'{split}_dataloader'].to_dict()
            cfg.update(num_workers=0, persistent_workers=False)
            for part in _datasets(cfg['dataset']):
                # the tiny data set has no stuff maps
                part['pipeline'][1].pop('with_seg', None)
            with DefaultScope.overwrite_default_scope('mmdet'):
                loader = Runner.build_dataloader(cfg)
            batch = next(iter(loader))
            image, sample = batch['inputs'][0], batch['data_samples'][0]
            assert len(sample.gt_instances.labels) > 0
            assert loader.dataset.metainfo['classes'] == ('square', 'triangle')
            assert np.prod(image.shape) > 3 * 64 * 96
        for split in ('val', 'test'):
            with DefaultScope.overwrite_default_scope('mmdet'):
                evaluator = Runner.build_evaluator(
                    None, new[f'{split}_evaluator']
                )
            metric = evaluator.metrics[0]
            assert sorted(metric._coco_api.imgs) == [1, 2]


def _datasets(cfg):
    if 'datasets' in cfg:
        return [d for part in cfg['datasets'] for d in _datasets(part)]
    return _datasets(cfg['dataset']) if 'dataset' in cfg else [cfg]
