"""Detectors are timed in turn, and ratios are those of neighbouring steps."""

from torch import nn

from cbnet.analysis.complexity.step import Step
from cbnet.studies import costs

SECONDS = {'alone': [1.0, 2.0, 4.0], 'frozen': [2.0, 2.0, 12.0]}


def test_detectors_take_turns(monkeypatch):
    detectors = dict(alone=nn.Linear(3, 2), frozen=nn.Linear(3, 4))
    detectors['frozen'].bias.requires_grad_(False)
    names = {detector: name for name, detector in detectors.items()}
    left = {name: list(seconds) for name, seconds in SECONDS.items()}
    turns = []

    def timed(detector, batch):
        turns.append(names[detector])
        return left[names[detector]].pop(0)

    monkeypatch.setattr(costs, 'time_step', timed)
    monkeypatch.setattr(
        costs, 'measure_step', lambda detector, batch, times: Step(0.0, 7)
    )
    found = costs.measure_costs(detectors, {}, rounds=3)
    assert ' '.join(turns) == 'alone frozen frozen alone alone frozen'
    assert found['alone'] == costs.Cost(2.0, 1.0, 7, 8, 8)
    # The median of 2, 1 and 3, not the ratio of the medians.
    assert found['frozen'] == costs.Cost(2.0, 2.0, 7, 12, 16)
