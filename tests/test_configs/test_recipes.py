"""Training and data of every published model equal the published recipe."""

from .published_recipes import (
    HTC,
    MASKED,
    RECIPES,
    SGD,
    each,
    read,
    swins,
    where,
)


@where(optimizer=['SGD'])
def test_sgd(name):
    assert read(f'dual_{name}').optim_wrapper.optimizer == SGD


@swins
def test_adamw(name):
    wrapper = read(f'dual_{name}').optim_wrapper
    assert wrapper.optimizer == dict(
        type='AdamW', lr=float(RECIPES[name]['optimizer']),
        betas=(0.9, 0.999), weight_decay=0.05,
    )  # fmt: skip


@swins
def test_norms_and_position_biases_do_not_decay(name):
    keys = 'absolute_pos_embed', 'relative_position_bias_table', 'norm'
    assert read(f'dual_{name}').optim_wrapper.paramwise_cfg == dict(
        custom_keys={key: dict(decay_mult=0.0) for key in keys}
    )


@each
def test_mixed_precision(name):
    mixed = RECIPES[name]['mixed'] == 'yes'
    wrapper = read(f'dual_{name}').optim_wrapper
    assert wrapper.type == ('AmpOptimWrapper' if mixed else 'OptimWrapper')


@each
def test_gradients_are_neither_clipped_nor_accumulated(name):
    keys = set(read(f'dual_{name}').optim_wrapper)
    assert keys - {'paramwise_cfg'} == {'type', 'optimizer'}


@each
def test_all_parameters_are_used(name):
    assert 'find_unused_parameters' not in read(f'dual_{name}')


@each
def test_epochs(name):
    assert read(f'dual_{name}').train_cfg == dict(
        type='EpochBasedTrainLoop',
        max_epochs=int(RECIPES[name]['epochs']),
        val_interval=1,
    )


@each
def test_warm_up(name):
    warmup, _ = read(f'dual_{name}').param_scheduler
    assert warmup == dict(
        type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500
    )


@each
def test_steps(name):
    row = RECIPES[name]
    _, steps = read(f'dual_{name}').param_scheduler
    assert steps == dict(
        type='MultiStepLR',
        begin=0,
        end=int(row['epochs']),
        by_epoch=True,
        milestones=[int(step) for step in row['steps'].split(',')],
        gamma=0.1,
    )


@each
def test_batch(name):
    cfg, images = read(f'dual_{name}'), int(RECIPES[name]['images'])
    loader = cfg.train_dataloader
    assert (loader.batch_size, loader.num_workers) == (images, 2)
    assert cfg.auto_scale_lr == dict(enable=False, base_batch_size=8 * images)


FLIP = dict(type='RandomFlip', prob=0.5)


def choice(*short_sides):
    scales = [(1333, short) for short in short_sides]
    return dict(type='RandomChoiceResize', scales=scales, keep_ratio=True)


CROP = dict(
    type='RandomCrop',
    crop_type='absolute_range',
    crop_size=(384, 600),
    allow_negative_crop=True,
)
AUGMENTATIONS = {
    '800': [dict(type='Resize', scale=(1333, 800), keep_ratio=True), FLIP],
    'A': [
        dict(
            type='RandomResize',
            scale=[(1600, 400), (1600, 1400)],
            keep_ratio=True,
        ),
        FLIP,
    ],
    'C': [
        FLIP,
        dict(
            type='RandomChoice',
            transforms=[
                [choice(*range(480, 801, 32))],
                [choice(400, 500, 600), CROP, choice(*range(480, 801, 32))],
            ],
        ),
    ],
}


@each
def test_annotations(name):
    load, annotations, *_, pack = read(
        f'dual_{name}'
    ).train_dataloader.dataset.pipeline
    expected = dict(type='LoadAnnotations', with_bbox=True)
    if name in MASKED:
        expected['with_mask'] = True
    if name in HTC:
        expected['with_seg'] = True
    assert annotations == expected
    assert [load.type, pack.type] == ['LoadImageFromFile', 'PackDetInputs']


@each
def test_augmentation(name):
    pipeline = read(f'dual_{name}').train_dataloader.dataset.pipeline
    _, _, *augmentation, _ = pipeline
    assert augmentation == AUGMENTATIONS[RECIPES[name]['augmentation']]


@each
def test_training_images(name):
    prefix = read(f'dual_{name}').train_dataloader.dataset.data_prefix
    maps = dict(seg='stuffthingmaps/train2017/') if name in HTC else {}
    assert prefix == dict(img='train2017/', **maps)


@each
def test_test_images(name):
    cfg = read(f'dual_{name}')
    large = RECIPES[name]['tested'] == '1600'
    pipeline = cfg.test_dataloader.dataset.pipeline
    scale = (1600, 1400) if large else (1333, 800)
    assert [t for t in pipeline if t.type == 'Resize'] == [
        dict(type='Resize', scale=scale, keep_ratio=True)
    ]
    assert cfg.val_dataloader == cfg.test_dataloader


@each
def test_metrics(name):
    metrics = ['bbox', 'segm'] if name in MASKED else 'bbox'
    assert read(f'dual_{name}').test_evaluator.metric == metrics
