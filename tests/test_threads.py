"""The threads of a command, settled before torch is imported.

- the CPUs are those of the affinity and of the control groups, old and new;
- processes beside this one and workers are counted in;
- a variable that the user has set wins; one that a command has set does not;
- leaving CPUs to loaders sets torch's threads, and turns OpenCV's off.
"""

import os

import pytest
import torch
from mmengine.config import Config

from cbnet.engine.loader_threads import leave_cpus
from cbnet.threads import Threads, beside_loaders, settle_threads, usable_cpus


@pytest.fixture(autouse=True)
def eight_cpus(monkeypatch):
    monkeypatch.setattr(os, 'sched_getaffinity', lambda _: set(range(8)))


@pytest.fixture
def make_root(tmp_path):
    """Make a folder with the files of control groups."""

    def make(groups, **files):
        for name, text in {'proc/self/cgroup': groups, **files}.items():
            path = tmp_path / name.replace('__', '/')
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return make


def v2(folder, text):
    return {f'sys/fs/cgroup{folder}/cpu.max': text}


def v1(folder, quota, period=100000):
    top = f'sys/fs/cgroup{folder}'
    return {
        f'{top}/cpu.cfs_quota_us': f'{quota}\n',
        f'{top}/cpu.cfs_period_us': f'{period}\n',
    }


@pytest.mark.parametrize(
    ('groups', 'files', 'number'),
    [
        ('0::/\n', v2('', '200000 100000\n'), 2),
        ('0::/\n', v2('', 'max 100000\n'), 8),
        ('0::/\n', v2('', '50000 100000\n'), 1),
        ('0::/a/b\n', v2('/a', '300000 100000\n'), 3),
        ('0::/a\n', v2('/a', '400000 100000\n') | v2('', 'max 100000'), 4),
        ('0::/outside/of/it\n', v2('', '500000 100000\n'), 5),
        ('0::/\n', v2('', 'nonsense'), 8),
        ('0::/\n', v2('', '9900000 100000\n'), 8),
        ('3:cpu,cpuacct:/\n0::/\n', v1('/cpu,cpuacct', 250000), 2),
        ('1:cpu:/job\n2:memory:/\n', v1('/cpu/job', 600000), 6),
        ('1:cpu:/\n', v1('/cpu', -1), 8),
        ('1:cpuset:/\n', v1('/cpu', 100000), 8),
        ('', {}, 8),
    ],
)
def test_quotas(groups, files, number, make_root):
    found = usable_cpus(make_root(groups, **files))
    assert found.number == number
    assert ('quota' in found.reason) == (number < 8)


def test_affinity_and_systems_without(tmp_path, monkeypatch):
    monkeypatch.setattr(os, 'sched_getaffinity', lambda _: {3, 5})
    assert usable_cpus(tmp_path).number == 2
    monkeypatch.delattr(os, 'sched_getaffinity')
    monkeypatch.setattr(os, 'cpu_count', lambda: 5)
    assert usable_cpus(tmp_path).number == 5


def test_what_is_set_and_said(tmp_path):
    environment = {}
    settled = settle_threads('none', environment, tmp_path)
    assert environment['OMP_NUM_THREADS'] == '8'
    assert environment['OMP_WAIT_POLICY'] == 'PASSIVE'
    assert environment['KMP_BLOCKTIME'] == '0'
    assert str(settled) == (
        'threads: 8 for 8 usable CPUs; they sleep while they wait'
    )


@pytest.mark.parametrize(
    ('launcher', 'variables', 'number'),
    [
        ('none', dict(LOCAL_WORLD_SIZE='4'), 8),
        ('pytorch', dict(LOCAL_WORLD_SIZE='4'), 2),
        ('mpi', dict(OMPI_COMM_WORLD_LOCAL_SIZE='2'), 4),
        ('none', dict(CBNET_BESIDE='3'), 2),
        ('pytorch', dict(LOCAL_WORLD_SIZE='2', CBNET_BESIDE='2'), 2),
        ('pytorch', dict(LOCAL_WORLD_SIZE='100'), 1),
        ('pytorch', dict(LOCAL_WORLD_SIZE='many'), 8),
    ],
)
def test_processes_beside(launcher, variables, number, tmp_path):
    settled = settle_threads(launcher, dict(variables), tmp_path)
    assert settled.number == number


@pytest.mark.parametrize(
    ('name', 'text'),
    [
        ('OMP_NUM_THREADS', '5'),
        ('MKL_NUM_THREADS', '3'),
        ('OMP_WAIT_POLICY', 'ACTIVE'),
        ('KMP_BLOCKTIME', '200'),
        ('GOMP_SPINCOUNT', '1000'),
    ],
)
def test_the_users_variable_wins(name, text, tmp_path):
    environment = {name: text}
    settled = settle_threads('none', environment, tmp_path)
    assert environment[name] == text
    assert f'{name}={text} is set' in str(settled)
    if 'THREADS' in name:
        assert settled.number is None
        assert environment.get('OMP_NUM_THREADS', text) == text
    else:
        others = {'OMP_WAIT_POLICY', 'KMP_BLOCKTIME'} - {name}
        assert not others & environment.keys()


def test_a_command_that_a_command_runs_counts_anew(tmp_path):
    environment = {'KMP_BLOCKTIME': '7'}
    settle_threads('none', environment, tmp_path)
    environment['CBNET_BESIDE'] = '2'
    assert settle_threads('none', environment, tmp_path).number == 4
    assert environment['OMP_NUM_THREADS'] == '4'
    assert environment['KMP_BLOCKTIME'] == '7'


def test_too_late_where_torch_is_there():
    before = dict(os.environ)
    assert settle_threads() is None
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    ('threads', 'workers', 'on_cpu', 'left'),
    [
        (8, 0, True, 8),
        (8, 1, True, 7),
        (8, 6, True, 6),
        (2, 2, True, 2),
        (8, 6, False, 2),
        (8, 20, False, 1),
    ],
)
def test_workers(threads, workers, on_cpu, left):
    assert beside_loaders(threads, workers, on_cpu) == left


def test_leaving_cpus(monkeypatch):
    chosen = []
    monkeypatch.setattr(torch, 'set_num_threads', chosen.append)
    cfg = Config(
        dict(
            train_dataloader=dict(num_workers=1),
            test_dataloader=dict(num_workers=9),
            val_dataloader=None,
        )
    )
    settled = Threads(8, 'so')
    lines = leave_cpus(cfg, settled, 'train', 'val')
    assert chosen == [7] and '7 beside 1 workers' in lines[0]
    assert cfg.env_cfg.mp_cfg.opencv_num_threads == 0
    cfg.env_cfg.mp_cfg.opencv_num_threads = 3
    assert leave_cpus(cfg, Threads(None, 'set'), 'train') == []
    assert leave_cpus(cfg, None, 'train') == []
    assert cfg.env_cfg.mp_cfg.opencv_num_threads == 3
    assert chosen == [7]
