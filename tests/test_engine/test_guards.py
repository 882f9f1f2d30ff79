"""The guards are added to any config, once, and keep what it chose.

- For a training run, the checkpoint hook becomes the safe one with the same
  options, and four hooks are added; mmengine builds and runs them
  (test_safe_stop.py).
- The config may have no hooks, hooks of its own, or hooks set to None.
- For an evaluation, only the hook that checks the whole checkpoint is added.
- All of them can be built by their names.
"""

import pytest
from mmdet.registry import HOOKS, TRANSFORMS
from mmengine.config import Config
from mmengine.hooks import CheckpointHook

from cbnet.engine.guards import add_guards

ADDED = [
    'CheckpointFitHook',
    'LossGuardHook',
    'GradientGuardHook',
    'SafeStopHook',
]


def types(cfg):
    return [hook['type'] for hook in cfg.custom_hooks]


def test_a_usual_config():
    hooks = dict(
        logger=dict(type='LoggerHook'),
        checkpoint=dict(type='CheckpointHook', interval=3),
    )
    cfg = Config(dict(default_hooks=hooks))
    for _ in range(2):
        add_guards(cfg)
        assert cfg.default_hooks.checkpoint == dict(
            type='SafeCheckpointHook', interval=3
        )
        assert cfg.default_hooks.logger.type == 'LoggerHook'
        assert types(cfg) == ADDED
    loader = TRANSFORMS.module_dict['LoadImageFromFile']
    assert loader.__name__ == 'CheckedLoadImageFromFile'
    for name in [*ADDED, 'SafeCheckpointHook']:
        HOOKS.build(dict(type=name))
    assert TRANSFORMS.get('CheckedLoadImageFromFile') is loader


@pytest.mark.parametrize('settings', [{}, dict(default_hooks=None)])
def test_without_any_hooks(settings):
    cfg = Config(dict(custom_hooks=None, **settings))
    add_guards(cfg)
    assert cfg.default_hooks == dict(
        checkpoint=dict(type='SafeCheckpointHook')
    )
    assert types(cfg) == ADDED


def test_what_the_config_chose_stays():
    guard = dict(type='LossGuardHook', priority='LOW')
    cfg = Config(
        dict(
            default_hooks=dict(checkpoint=dict(type='Own')),
            custom_hooks=[
                guard,
                dict(type=CheckpointHook),
                dict(type='EMAHook'),
            ],
        )
    )
    add_guards(cfg)
    assert cfg.default_hooks.checkpoint.type == 'Own'
    assert types(cfg) == [
        'LossGuardHook', 'SafeCheckpointHook', 'EMAHook',
        'CheckpointFitHook', 'GradientGuardHook', 'SafeStopHook',
    ]  # fmt: skip
    assert cfg.custom_hooks[0] == guard
    cfg = Config(dict(default_hooks=dict(checkpoint=None)))
    add_guards(cfg)
    assert cfg.default_hooks.checkpoint is None


def test_an_evaluation():
    cfg = Config(dict(custom_hooks=[dict(type='EMAHook')]))
    add_guards(cfg, training=False)
    assert types(cfg) == ['EMAHook', 'CheckpointFitHook']
    assert cfg.custom_hooks[1].complete
    assert 'default_hooks' not in cfg
