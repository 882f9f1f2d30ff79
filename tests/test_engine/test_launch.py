"""Joining and leaving what a launcher started.

- on a CPU, a launched process joins a gloo group and its model is wrapped
  without a CUDA device; whatever the config says of its wrapper is kept;
- the config's timeout is the group's;
- leaving ends gloo's threads although the model is in a reference cycle;
- mpi's local rank reaches torch; on CPUs an address is asked for.
"""

import multiprocessing
import os
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.registry import MODEL_WRAPPERS

from cbnet.engine.launch import LAUNCHERS, finish_launch, prepare_launch


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
def test_join_and_leave(torchrun):
    cfg = Config(dict(env_cfg=dict(dist_cfg=dict(timeout=60))))
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


def test_mpi_sets_the_local_rank_and_asks_for_an_address(monkeypatch):
    monkeypatch.setattr('cbnet.engine.launch.get_device', lambda: 'cuda')
    for number, name in enumerate(LAUNCHERS['mpi'].values()):
        monkeypatch.setenv(name, str(number))
    monkeypatch.setenv('LOCAL_RANK', '9')
    cfg = Config()
    prepare_launch(cfg, 'mpi')
    assert cfg.launcher == 'mpi' and not dist.is_initialized()
    assert os.environ['LOCAL_RANK'] == '2'
    monkeypatch.setattr('cbnet.engine.launch.get_device', lambda: 'cpu')
    monkeypatch.delenv('MASTER_ADDR', raising=False)
    with pytest.raises(ValueError, match='MASTER_ADDR'):
        prepare_launch(cfg, 'mpi')
