"""Small runs with SWAHook, and the values to compare them with."""

import copy
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from cbnet.engine import add_guards

from .small_run import small_config

ROOT = Path(__file__).parents[2]
SCHEDULE = Config.fromfile(ROOT / 'configs/_base_/schedules/swa_12e.py')


class Recorder(Hook):
    """Record rates and epoch ends, independently of the tested hook."""

    priority = 'VERY_HIGH'

    def __init__(self):
        self.rates, self.ends = [], []

    def after_train_iter(self, runner, **_):
        self.rates.append(runner.optim_wrapper.optimizer.param_groups[0]['lr'])

    def after_train_epoch(self, runner):
        self.ends.append(copy.deepcopy(runner.model.state_dict()))


class StopAt(Hook):
    """Raise an error at ``point`` of the given iteration."""

    priority = 'VERY_LOW'

    def __init__(self, point, iteration):
        self.iteration = iteration
        setattr(self, point, self.stop)

    def stop(self, runner, **_):
        if runner.iter == self.iteration:
            raise RuntimeError('stopped')


def swa_config(folder, epochs, **settings):
    defaults = dict(
        train_cfg=dict(SCHEDULE.swa_train_cfg, max_epochs=epochs),
        param_scheduler=SCHEDULE.swa_param_scheduler,
        custom_hooks=SCHEDULE.swa_hooks,
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=1)),
    )
    return small_config(folder, **dict(defaults, **settings))


def run(folder, hooks=(), epochs=3, **settings):
    cfg = swa_config(folder, epochs, **settings)
    add_guards(cfg)
    runner = Runner.from_cfg(cfg)
    for hook in hooks:
        runner.register_hook(hook)
    runner.train()
    return runner


def read(path):
    return torch.load(path, weights_only=True)


def mean(states):
    return {
        name: torch.stack([s[name].double() for s in states]).mean(0)
        for name, value in states[0].items()
        if value.is_floating_point()
    }
