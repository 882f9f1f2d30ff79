"""Batch sizes, learning rates, and loggers.

- The line about the learning rate says what mmengine will do.
- Accumulated batches count; a dumped config is not scaled twice.
- Loggers are added once, beside the file that plot_log.py reads; a missing
  package is an error.
"""

import importlib.util

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import nn

from cbnet.engine.batch import accumulate_gradients, scale_learning_rate
from cbnet.engine.loggers import LOGGERS, add_logger
from cbnet.errors import UserError


@pytest.fixture
def cfg():
    return Config(
        dict(
            work_dir='runs/mine',
            train_dataloader=dict(batch_size=2),
            optim_wrapper=dict(type='OptimWrapper', optimizer=dict(lr=0.02)),
            auto_scale_lr=dict(enable=False, base_batch_size=16),
        )
    )


def rate(cfg, processes):
    """Return the learning rate that mmengine's runner computes."""

    class Stand:
        _train_dataloader = cfg.train_dataloader
        world_size = processes
        param_schedulers = []

        class logger:
            @staticmethod
            def info(text):
                pass

    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.02)
    wrapper = OptimWrapper(optimizer)
    Runner.scale_lr(Stand(), wrapper, cfg.auto_scale_lr)
    return wrapper.get_lr()['lr'][0]


@pytest.mark.parametrize('processes', [1, 3])
@pytest.mark.parametrize('batches', [None, 1, 4])
def test_the_line_says_what_mmengine_does(cfg, processes, batches):
    if batches:
        accumulate_gradients(cfg, batches)
        assert cfg.optim_wrapper.accumulative_counts == batches
    for _ in range(2):  # again, as when a dumped config is trained
        line = scale_learning_rate(cfg, processes)
        batch = 2 * processes * (batches or 1)
        assert rate(cfg, processes) == pytest.approx(0.02 * batch / 16)
        assert f'0.02 x {batch}/16 = {0.02 * batch / 16:g} ' in line


def test_settings_that_are_missing_or_wrong(cfg):
    with pytest.raises(ValueError, match='--accumulate: 0, expected 1'):
        accumulate_gradients(cfg, 0)
    cfg.pop('auto_scale_lr')
    with pytest.raises(ValueError, match='needs auto_scale_lr.base_batch'):
        scale_learning_rate(cfg, 1)
    cfg.pop('optim_wrapper')
    with pytest.raises(ValueError, match='needs optim_wrapper'):
        accumulate_gradients(cfg, 2)


@pytest.mark.parametrize('name', LOGGERS)
def test_loggers(cfg, name, monkeypatch):
    monkeypatch.setattr(importlib.util, 'find_spec', lambda module: module)
    for _ in range(2):
        assert f'logging to {name} too' in add_logger(cfg, name)
    backends = [entry.type for entry in cfg.visualizer.vis_backends]
    assert backends == ['LocalVisBackend', LOGGERS[name][1]]


def test_a_logger_that_is_not_installed(cfg, monkeypatch):
    monkeypatch.setattr(importlib.util, 'find_spec', lambda module: None)
    with pytest.raises(ValueError, match='pip install wandb'):
        add_logger(cfg, 'wandb')


@pytest.mark.parametrize(
    ('key', 'value', 'message'),
    [
        ('train_dataloader.batch_size', 'x', "^train_dataloader.batch_size='"),
        ('optim_wrapper.optimizer.lr', None, 'has no lr that could be scaled'),
        ('optim_wrapper', None, 'has no lr that could be scaled'),
    ],
)
def test_nothing_to_scale(cfg, key, value, message):
    cfg.merge_from_dict({key: value})
    with pytest.raises(UserError, match=message):
        scale_learning_rate(cfg, 1)
    assert not cfg.auto_scale_lr.enable
