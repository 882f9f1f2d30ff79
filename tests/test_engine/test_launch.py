"""Joining and leaving the processes of a launcher.

- On a CPU, a launched process joins a gloo group with the timeout of the
  config, and its model is wrapped without a CUDA device; a wrapper that the
  config chooses is kept.
- Leaving the group ends gloo's threads although the model is in a reference
  cycle.
- The numbers of mpi reach torch; on CPUs a missing address is an error.
- torch's synchronised norms refuse a CPU.  In a single process mmengine's
  runner turns them into plain ones; in several processes the wrapper does,
  with the same weights under the same names, and the model trains.
"""

import multiprocessing
import os
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.model import MMDistributedDataParallel, is_model_wrapper
from mmengine.registry import MODEL_WRAPPERS, DefaultScope
from mmengine.runner import Runner
from torch import nn

from cbnet.engine.launch import (
    LAUNCHERS,
    CpuDataParallel,
    finish_launch,
    is_first,
    prepare_launch,
    world_size,
)


def thread_names():
    tasks = Path('/proc/self/task').iterdir()
    return [(task / 'comm').read_text().strip() for task in tasks]


@pytest.fixture
def torchrun(monkeypatch):
    """The environment of torchrun for one process, and no accelerator."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = str(probe.getsockname()[1])
    values = dict(
        RANK='0',
        WORLD_SIZE='1',
        LOCAL_RANK='0',
        MASTER_ADDR='127.0.0.1',
        MASTER_PORT=port,
    )
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr('cbnet.engine.launch.get_device', lambda: 'cpu')
    yield
    if dist.is_initialized():
        dist.destroy_process_group()


def train_one_step(cfg):
    wrapped = MODEL_WRAPPERS.build(
        cfg.model_wrapper_cfg, default_args=dict(module=torch.nn.Linear(2, 1))
    )
    runner = SimpleNamespace(model=wrapped)
    runner.hook = SimpleNamespace(runner=runner)  # as mmengine's do
    wrapped(torch.ones(1, 2)).sum().backward()


@pytest.mark.skipif(
    not Path('/proc/self/task').exists(), reason='lists threads through /proc'
)
@pytest.mark.parametrize('options', [None, dict(timeout=60)])
def test_join_and_leave(torchrun, options):
    cfg = Config(dict(env_cfg=dict(dist_cfg=options)))
    prepare_launch(cfg, 'pytorch')
    assert dist.get_backend() == 'gloo'
    assert cfg.launcher == 'pytorch'
    assert cfg.model_wrapper_cfg == dict(
        type='CpuDataParallel',
        broadcast_buffers=False,
        find_unused_parameters=False,
        device_ids=None,
    )
    train_one_step(cfg)
    assert any('gloo' in name for name in thread_names())
    finish_launch()
    assert not dist.is_initialized()
    assert not any('gloo' in name for name in thread_names())


def test_the_timeout_of_the_config(torchrun, monkeypatch):
    """A process that waits for another one gives up when the config says."""
    monkeypatch.setenv('WORLD_SIZE', '2')
    cfg = Config(dict(env_cfg=dict(dist_cfg=dict(timeout=0.2))))

    def wait():
        try:
            prepare_launch(cfg, 'pytorch')
        except dist.DistStoreError:
            os._exit(7)

    process = multiprocessing.get_context('fork').Process(target=wait)
    process.start()
    process.join(20)
    process.kill()
    process.join()
    assert process.exitcode == 7


def test_wrapper_of_the_config_is_kept(torchrun):
    wrapper = dict(type='MMDistributedDataParallel', static_graph=True)
    cfg = Config(dict(model_wrapper_cfg=wrapper))
    prepare_launch(cfg, 'pytorch')
    assert cfg.model_wrapper_cfg == {**wrapper, 'device_ids': None}


def test_without_launcher_nothing_is_joined():
    cfg = Config()
    prepare_launch(cfg, 'none')
    finish_launch()
    assert cfg.launcher == 'none' and 'model_wrapper_cfg' not in cfg


def test_mpi_sets_torchs_names_and_asks_for_an_address(monkeypatch):
    monkeypatch.setattr('cbnet.engine.launch.get_device', lambda: 'cuda')
    for number, (torchs, mpis) in enumerate(LAUNCHERS['mpi'].items()):
        monkeypatch.setenv(torchs, '9')
        monkeypatch.setenv(mpis, str(number))
    cfg = Config()
    prepare_launch(cfg, 'mpi')
    assert cfg.launcher == 'mpi' and not dist.is_initialized()
    assert [os.environ[torchs] for torchs in LAUNCHERS['mpi']] == [*'012']
    assert world_size('mpi') == 1 and is_first('mpi')
    assert world_size('none') == 1 and is_first('none')
    monkeypatch.setattr('cbnet.engine.launch.get_device', lambda: 'cpu')
    monkeypatch.delenv('MASTER_ADDR', raising=False)
    with pytest.raises(ValueError, match='MASTER_ADDR'):
        prepare_launch(cfg, 'mpi')


HEAD = Config(
    dict(
        head=dict(
            type='ConvFCBBoxHead',
            in_channels=4,
            num_shared_convs=2,
            num_shared_fcs=1,
            conv_out_channels=4,
            fc_out_channels=4,
            num_classes=2,
            norm_cfg=dict(type='SyncBN', requires_grad=True),
        )
    )
)


@pytest.fixture
def head():
    with DefaultScope.overwrite_default_scope('mmdet'):
        return MODELS.build(HEAD.head).train()


@pytest.fixture
def joined(tmp_path):
    """A process group that has only this process."""
    dist.init_process_group(
        'gloo', init_method=f'file://{tmp_path}/join', rank=0, world_size=1
    )
    yield
    dist.destroy_process_group()


def synchronised(model):
    return [m for m in model.modules() if isinstance(m, nn.SyncBatchNorm)]


def trains(model, head):
    """Tell whether a step changes the weights and statistics of all norms."""
    norms = [conv.bn for conv in head.shared_convs]
    before = [norm.running_mean.clone() for norm in norms]
    scores, boxes = model(torch.rand(3, 4, 7, 7))
    (scores.square().sum() + boxes.square().sum()).backward()
    return all(
        norm.weight.grad.abs().sum() > 0
        and not torch.equal(norm.running_mean, mean)
        for norm, mean in zip(norms, before, strict=True)
    )


def test_one_process_by_the_runner(head):
    assert len(synchronised(head)) == 2
    names = list(head.state_dict())
    runner = SimpleNamespace(
        distributed=False, logger=MMLogger.get_instance('one_process')
    )
    wrapped = Runner.wrap_model(runner, None, head)
    assert not synchronised(wrapped)
    assert list(wrapped.state_dict()) == names
    assert trains(wrapped, wrapped)


def test_joined_processes(head, joined):
    with pytest.raises(ValueError, match='only work with GPU modules'):
        MMDistributedDataParallel(head)
    state = {name: value.clone() for name, value in head.state_dict().items()}
    held = list(head.parameters())
    # As the runner does: found in mmengine's registry, built in the scope.
    assert MODEL_WRAPPERS.get('CpuDataParallel') is CpuDataParallel
    with DefaultScope.overwrite_default_scope('mmdet'):
        wrapped = MODEL_WRAPPERS.build(
            dict(type='CpuDataParallel', module=head, device_ids=None)
        )
    assert type(wrapped) is CpuDataParallel and is_model_wrapper(wrapped)
    assert not synchronised(wrapped)
    assert list(wrapped.module.state_dict()) == list(state)
    for name, value in wrapped.module.state_dict().items():
        torch.testing.assert_close(value, state[name], rtol=0, atol=0)
    assert all(
        one is other
        for one, other in zip(held, wrapped.parameters(), strict=True)
    )
    assert trains(wrapped, wrapped.module)
