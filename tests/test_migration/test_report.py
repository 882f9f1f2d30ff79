"""The report of a migration, and the configs that are refused.

1. Each key without a counterpart is reported by name, and no other key.
2. A missing base file is named. Other backbones, other datasets, a missing
   model and broken files are clear errors that leave no file. The user is
   told when the new model does not build.
"""

import pytest

from cbnet.migration import migrate_config

REPORTED = [
    'optimizer.constructor=',
    'optimizer_config.detect_anomalous_params=True',
    'lr_config.target_ratio=',
    'checkpoint_config.meta=',
    'log_config.hooks[2] PaviLoggerHook',
    'custom_hooks[1]=',
    'workflow:',
    'load_from:',
    'resume_from:',
    'data.train.dataset.pipeline[6] Rotate: kept',
    'data.train.dataset.pipeline[7] GoneTransform: left out',
    "data.train.dataset.pipeline[12] Collect.meta_keys=('filename',)",
    'data.train.dataset.proposal_file=',
    'data.val.pipeline[1] MultiScaleFlipAug.img_scale:',
    'data.val.pipeline[1] MultiScaleFlipAug.flip:',
    'data.test.pipeline[1] MultiScaleFlipAug.img_scale:',
    'data.test.pipeline[1] MultiScaleFlipAug.flip:',
    'auto_scale_lr.base_batch_size=8',
    'evaluation.gpu_collect=True',
    'model.neck.end_level: 4 becomes 3',
    'num_helpers=3',
    'momentum_config=',
]


def test_nothing_is_lost_silently(everything):
    _, report, _ = everything
    for line, start in zip(sorted(report), sorted(REPORTED), strict=True):
        assert line.startswith(start)
        assert '\n' not in line


# a line added to the published config, and the start of its report, if any
LINES = [
    ("evaluation = dict(own='x')", "evaluation.own='x'"),
    ("data = dict(own='x')", "data.own='x'"),
    ("data = dict(train=dict(own='x'))", "data.train.own='x'"),
    ('data = dict(val_dataloader=dict(own=1))', 'data.val_dataloader.own=1'),
    ("data = dict(train=dict(classes='gone.txt'))", 'data.train.classes: no'),
    ("runner = dict(own='x')", "runner.own='x'"),
    ("fp16 = dict(loss_scale=512., own='x')", "fp16.own='x'"),
    ("lr_config = dict(warmup='sine')", "lr_config.warmup: 'sine'"),
    ("lr_config = dict(_delete_=True, policy='inv')",
     "lr_config.policy: 'Inv'"),
    ("custom_imports = dict(imports=['json'])", "custom_imports=['json']"),
    ("own = dict(a='x')", "own={'a': 'x'}"),
    ("own = ('square', 'triangle')", ''),  # the classes' value
    ('own = dict(mean=[123.675, 116.28, 103.53], to_rgb=True)', ''),
    ('data = dict(test_dataloader=dict(samples_per_gpu=3))', ''),
    ('workflow = None', ''),
    ('own = None', ''),
    ("model = dict(backbone=dict(init_cfg='x'))", 'model.backbone.init_cfg'),
    ("log_config = dict(hooks=[dict(type='TextLoggerHook', own=1)])",
     'log_config.hooks[0].own=1'),
    ("data = dict(val=dict(pipeline=[dict(type='MultiScaleFlipAug', "
     "img_scale=(9, 9), transforms=[dict(type='RandomFlip'), "
     "dict(type='Gone')])]))",
     'data.val.pipeline[0] MultiScaleFlipAug.transforms[1] Gone: left out'),
]  # fmt: skip


@pytest.mark.parametrize(('line', 'reported'), LINES)
def test_a_line_that_is_not_understood(line, reported, convert_with):
    _, report = convert_with(line)
    rest = [r for r in report if not r.startswith('auto_scale_lr')]
    if reported:
        assert len(rest) == 1
        assert rest[0].startswith(reported)
    else:
        assert rest == []


def test_the_batch_of_the_training_loader_counts(convert_with):
    line = 'data = dict(train_dataloader=dict(samples_per_gpu=3))'
    new, report = convert_with(line)
    assert new.auto_scale_lr.base_batch_size == 8 * 3
    assert any('base_batch_size=24' in line for line in report)


def test_a_missing_base_is_named(published_configs, tmp_path):
    (published_configs / '_base_' / 'coco.py').unlink()
    with pytest.raises(ValueError, match=r'faster_r50.py: .*_base_/coco\.py'):
        migrate_config(
            published_configs / 'faster_r50.py', tmp_path / 'new.py'
        )
    assert not (tmp_path / 'new.py').exists()


MISTAKES = {
    'type': (
        "model = dict(backbone=dict(type='CBGoneNet'))",
        "backbone.type='CBGoneNet'; served: .*CBResNet",
    ),
    'plain': ("model = dict(backbone=dict(type='ResNet'))", 'served: '),
    'stages': (
        'model = dict(backbone=dict(cb_del_stages=7))',
        'cb_del_stages=7; expected -1',
    ),
    'model': ('model = dict(_delete_=True)', 'the config has no model'),
    'data': (
        "data = dict(val=dict(type='VOCDataset'))",
        "data.val.type='VOCDataset'; only datasets in the COCO format",
    ),
    'kind': ("evaluation = 'x'", 'evaluation=.*expected a dict'),
    'syntax': ('model = dict(', 'never closed'),
}


@pytest.mark.parametrize('kind', MISTAKES)
def test_a_mistake_leaves_no_file(kind, published_configs, tmp_path):
    text, message = MISTAKES[kind]
    if kind == 'kind':
        text = "model = dict(type='FasterRCNN')\n" + text
    else:
        text = f"_base_ = './faster_r50.py'\n{text}\n"
    (published_configs / 'mistake.py').write_text(text)
    with pytest.raises(ValueError, match=message):
        migrate_config(published_configs / 'mistake.py', tmp_path / 'new.py')
    assert not (tmp_path / 'new.py').exists()


def test_other_mistakes(published_configs, tmp_path):
    published = published_configs / 'faster_r50.py'
    with pytest.raises(ValueError, match='no config file'):
        migrate_config(tmp_path / 'gone.py', tmp_path / 'new.py')
    with pytest.raises(ValueError, match=r'must end in \.py'):
        migrate_config(published, tmp_path / 'new.txt')
    with pytest.raises(ValueError, match='exists; name another file'):
        migrate_config(published, published)


def test_a_model_that_does_not_build_is_reported(migrate):
    new, report, problem = migrate(
        'gone.py',
        "_base_ = './faster_r50.py'\nmodel = dict(type='GoneRCNN')\n",
    )
    assert "base='GoneRCNN' is not a registered detector" in problem
    assert new.model.base == 'GoneRCNN'  # the rest is there to be corrected
    assert len(report) == 1


def test_a_config_without_data(migrate):
    new, report, problem = migrate(
        'model.py', "_base_ = ['_base_/faster_rcnn.py']\n"
        "model = dict(backbone=dict(type='CBResNet'))\n",
    )  # fmt: skip
    assert problem is None
    assert 'train_dataloader' not in new and 'val_evaluator' not in new
    starts = [line.split(':')[0] for line in report]
    assert starts == ['runner', 'data', 'model.data_preprocessor']
