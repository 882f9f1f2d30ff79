"""A config by epochs is counted in steps, and its steps can be changed.

The rate rises in a share of the steps, and falls after that.
"""

import pytest
from mmengine.config import Config

from cbnet.config_files import find_config
from cbnet.studies.schedule import count_in_steps, steps_options

NAME = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'


def counted(steps, **options):
    cfg = Config.fromfile(find_config(NAME))
    count_in_steps(cfg, steps, **options)
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


@pytest.mark.parametrize('drop', [False, True])
@pytest.mark.parametrize(
    ('steps', 'warm_up', 'rise'),
    [(50_000, 0.3, 15_000), (200, 0, 1), (2, 0.9, 1)],
)
def test_the_warm_up(steps, warm_up, rise, drop):
    first, second = counted(steps, drop=drop, warm_up=warm_up).param_scheduler
    assert first.end == rise and (drop or second.begin == rise)


@pytest.mark.parametrize(('drop', 'rise'), [(False, 5000), (True, 1000)])
def test_the_warm_up_of_the_protocols(drop, rise):
    assert counted(50_000, drop=drop).param_scheduler[0].end == rise
