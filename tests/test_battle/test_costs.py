"""What entries cost.

1. The numbers that are trained leave out a frozen assistant; a pass of
   inference and of training is timed, or not, as it is asked for.
2. Costs are kept exactly.
3. An entry that cannot be measured says why.
4. A step is timed in the precision and with the optimizer of the protocol,
   so that equal time is equal time; a schedule of the assistance is at its
   start.
5. Latency is the median of passes over one image, after two that warm up.
"""

from collections import OrderedDict
from dataclasses import replace

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper
from torch.optim import AdamW

from cbnet.analysis.complexity import latency as module
from cbnet.analysis.complexity.latency import measure_latency
from cbnet.analysis.complexity.step import Step
from cbnet.battle import costs
from cbnet.battle.configs import entry_config
from cbnet.battle.costs import measure_entry, read_costs, write_costs
from cbnet.battle.entries import read_entry
from cbnet.testing import build_model, make_batch, tiny_detector


def test_an_entry(tiny, tmp_path):
    name = 'frozen:test_vit=x + random:test_resnet'
    cfg = entry_config(read_entry(name), tiny)
    counted = measure_entry(cfg, (64, 96), None, 0)
    assert 0 < counted.trained < counted.parameters
    assert counted.macs > 0 and counted.latency is None
    timed = measure_entry(cfg, (64, 96), make_batch(num_classes=80), 1)
    assert timed.latency > 0 and timed.step > 0 and timed.kept > 0
    assert timed.memory_training is None  # on a CPU
    costs = {name: timed, 'other': counted}
    write_costs(costs, tmp_path)
    assert read_costs(tmp_path) == costs
    assert read_costs(tmp_path / 'gone') == {}


def test_a_failure(tiny, monkeypatch):
    cfg = entry_config(read_entry('random:tnt_s_patch16_224'), tiny)
    found = measure_entry(cfg, (256, 256), None, 1)
    assert 'do not fit' in found.failed and found.parameters > 0
    assert found.device == 'cpu'

    def fail(*_):
        raise AssertionError

    monkeypatch.setattr(costs, 'measure_latency', fail)
    cfg = entry_config(read_entry('random:test_resnet'), tiny)
    assert measure_entry(cfg, (64, 96), None, 1).failed == 'AssertionError'


@pytest.mark.parametrize('amp', [False, True])
def test_a_step_is_that_of_the_training(tiny, monkeypatch, amp):
    settings = replace(tiny, amp=amp)
    cfg = entry_config(read_entry('random:test_resnet'), settings)
    steps = []

    def update(wrapper, loss, *_, **__):
        mixed = 'Amp' in type(wrapper).__name__
        steps.append((mixed, type(wrapper.optimizer)))

    kept_in = []

    def measure(*_):
        kept_in.append(torch.is_autocast_enabled('cpu'))
        return Step(0.0, 0)

    monkeypatch.setattr(OptimWrapper, 'update_params', update)
    monkeypatch.setattr(costs, 'measure_step', measure)
    measure_entry(cfg, (64, 96), make_batch(num_classes=80), 3)
    assert steps == [(amp, AdamW)] * 2 and kept_in == [amp]
    wrapper = cfg.optim_wrapper.type
    # The config is the same on all devices, such as those of Slurm's jobs.
    assert wrapper == ('AmpOptimWrapper' if amp else 'OptimWrapper')


def test_a_step_with_a_schedule(tiny, monkeypatch):
    monkeypatch.setattr(MessageHub, '_instance_dict', OrderedDict())
    entry = read_entry('2x random:test_resnet')
    changes = {'model.assistance.schedule': 'linear'}
    cfg = entry_config(replace(entry, changes=changes), tiny)
    found = measure_entry(cfg, (64, 96), make_batch(num_classes=80), 1)
    assert found.failed is None and found.step > 0


def test_latency(monkeypatch):
    seconds = iter([9, 9, 1, 2, 6, 4, 8, 4])
    monkeypatch.setattr(
        module, 'time_detection', lambda *_: float(next(seconds))
    )
    detector = build_model(tiny_detector())
    found = measure_latency(detector, (64, 96), times=3, batch_size=2)
    assert (found.median, found.throughput) == (2, 0.5)
    assert 2 < found.p95 < 6


def test_a_real_pass():
    found = measure_latency(build_model(tiny_detector()), (64, 96), times=1)
    assert found.median == found.p95 > 0 and found.throughput > 0
