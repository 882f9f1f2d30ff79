"""A training says how long it took, its memory, and its energy.

1. What a resumed run took counts from its checkpoint: an interrupted and
   resumed run has the steps of both, and not what was lost.
2. Energy is the sum over GPUs, processor and memory; it is null where nothing
   can be read, or where a part of the training was not read.
3. A run that starts from weights counts itself alone.
"""

import json
import sys
from types import SimpleNamespace

import pytest

from cbnet.engine import resources
from cbnet.engine.resources import read_resources

from .small_run import small_run

HOOKS = [dict(type='ResourcesHook')]


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """A clock that advances by a second each time it is read."""
    ticks = iter(range(1000))
    monkeypatch.setattr(resources, 'perf_counter', lambda: next(ticks))


class Meter:
    """Stands for zeus: each window took one joule on each of two devices."""

    gpu_indices, cpu_indices = [0], [0]

    def begin_window(self, name):
        assert name == 'training'

    def end_window(self, name):
        return SimpleNamespace(
            gpu_energy={0: 1.0}, cpu_energy={0: 1.0}, dram_energy=None
        )


def use_meter(monkeypatch, meter):
    module = SimpleNamespace(ZeusMonitor=meter)
    monkeypatch.setitem(sys.modules, 'zeus', SimpleNamespace(monitor=module))
    monkeypatch.setitem(sys.modules, 'zeus.monitor', module)


def train(folder, steps, **settings):
    small_run(folder, steps=steps, custom_hooks=HOOKS, **settings).train()
    return read_resources(folder)


def test_a_resumed_run_counts_both(tmp_path, monkeypatch):
    use_meter(monkeypatch, Meter)
    # Two checkpoints and the end: three readings of the clock after the start.
    assert train(tmp_path / 'whole', 4)['seconds'] == 3
    first = train(tmp_path / 'run', 2)
    assert (first['seconds'], first['energy']) == (2, 4)
    again = train(tmp_path / 'run', 4, resume=True)
    # One second and one window are in the checkpoint of the second step.
    assert (again['seconds'], again['energy']) == (1 + 2, 2 + 4)
    assert again['memory'] is None or again['memory'] > 10**7


def test_a_part_without_energy(tmp_path, monkeypatch):
    use_meter(monkeypatch, lambda: 1 / 0)
    assert train(tmp_path, 2)['energy'] is None
    use_meter(monkeypatch, Meter)
    assert train(tmp_path, 4, resume=True)['energy'] is None


def test_from_weights(tmp_path):
    train(tmp_path / 'first', 2)
    start = str(tmp_path / 'first' / 'iter_2.pth')
    assert train(tmp_path / 'run', 2, load_from=start)['seconds'] == 2


@pytest.mark.parametrize(
    ('content', 'found'),
    [('VmPeak:\t9 kB\nVmHWM:\t   12 kB\n', 12 * 1024), ('Name:\tx\n', None)],
)
def test_memory(tmp_path, monkeypatch, content, found):
    monkeypatch.setattr(resources, '_STATUS', tmp_path / 'status')
    assert resources._peak_memory() is None
    (tmp_path / 'status').write_text(content)
    assert resources._peak_memory() == found


def test_no_device(tmp_path, monkeypatch):
    use_meter(
        monkeypatch, lambda: SimpleNamespace(gpu_indices=[], cpu_indices=[])
    )
    train(tmp_path, 2)
    text = (tmp_path / 'resources.json').read_text()
    assert json.loads(text)['energy'] is None
