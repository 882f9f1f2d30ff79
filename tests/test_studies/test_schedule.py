"""A config by epochs is counted in steps, and its steps can be changed."""

import pytest
from mmengine.config import Config

from cbnet.config_files import find_config
from cbnet.studies.schedule import count_in_steps, steps_options

NAME = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'


def counted(steps):
    cfg = Config.fromfile(find_config(NAME))
    count_in_steps(cfg, steps)
    return cfg


def test_a_config_by_epochs():
    cfg = counted(200)
    assert cfg.train_cfg.to_dict() == dict(
        type='IterBasedTrainLoop', max_iters=200, val_interval=200
    )
    rise, fall = cfg.param_scheduler
    assert (rise.end, fall.begin, fall.end) == (20, 20, 200)
    assert not rise.by_epoch and not fall.by_epoch
    assert cfg.train_dataloader.sampler.type == 'InfiniteSampler'
    checkpoint = cfg.default_hooks.checkpoint
    assert (checkpoint.interval, checkpoint.by_epoch) == (20, False)
    assert (
        cfg.optim_wrapper == Config.fromfile(find_config(NAME)).optim_wrapper
    )


@pytest.mark.parametrize('steps', [2, 3, 75])
def test_overrides_change_the_steps(steps):
    cfg = counted(200)
    options = dict(text.split('=') for text in steps_options(steps))
    cfg.merge_from_dict({key: int(value) for key, value in options.items()})
    wanted = counted(steps)
    assert cfg.train_cfg == wanted.train_cfg
    assert cfg.param_scheduler == wanted.param_scheduler
    assert 0 < cfg.param_scheduler[0].end < steps
