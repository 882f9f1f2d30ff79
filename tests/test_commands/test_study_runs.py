"""The runs of a study, with a stand-in for training and evaluation.

1. Each arm starts where it should and has its steps: equal ones, and those
   of equal time by its ratio; the bigger detector has all steps from the
   start. The time left counts every step of them.
2. An evaluation without a figure that is compared stops the study.
3. Given checkpoints belong to their seeds, and a folder to its checkpoint.
"""

from argparse import Namespace

import pytest

from cbnet.commands.runs import TEST_STEP
from cbnet.commands.study_plan import Plan
from cbnet.commands.study_runs import UpgradeStudy
from cbnet.errors import UserError
from cbnet.studies.costs import Cost

COSTS = {
    name: Cost(1.0, ratio, 1, 1, 1)
    for name, ratio in (('alone', 1.0), ('frozen-x', 1.5), ('bigger-y', 2.0))
}


class StandIn:
    """Note down trainings and evaluations instead of running them."""

    def __init__(self, queue):
        self.queue, self.trained, self.units = queue, [], 0.0
        queue.run = lambda command, *_, **__: self.trained.append(command[0])

    def train(self, config, folder, steps, options=(), cost=1.0):
        start = [
            o[10:].strip('"') for o in options if o.startswith('load_from=')
        ]
        self.trained.append((config, str(folder), steps, *start))
        self.units += steps * cost
        return f'{folder}/iter_{steps}.pth'

    def evaluate(self, config, checkpoint, folder, batches, cost=1.0):
        self.units += batches * TEST_STEP * cost
        return {'coco/bbox_mAP': 0.5}


@pytest.fixture
def make(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def make(**options):
        given = dict(
            seeds=[3, 4], steps=100, further_steps=90, checkpoints=[],
            budgets=['steps', 'time'], out_dir=tmp_path / 'out',
        )  # fmt: skip
        plan = Plan(
            'detector.py', 'further.py', {'bigger-y': 'bigger.py'},
            {'frozen-x': ['--assistant', 'x']}, COSTS, 5,
        )  # fmt: skip
        study = UpgradeStudy(Namespace(**given | options), plan)
        study.runs = StandIn(study.runs.queue)
        return study

    return make


def test_arms_and_steps(make, tmp_path):
    study = make()
    study.run(3)
    seed, start = tmp_path / 'out' / 'seed-3', 'frozen-x/start'
    base = f'{seed}/base/iter_100.pth'
    upgraded = f'{seed}/{start}/upgraded_further.py'
    weights = f'{seed}/{start}/start.pth'
    assert study.runs.trained == [
        ('detector.py', f'{seed}/base', 100),
        ('further.py', f'{seed}/alone/steps', 90, base),
        'upgrade',
        (upgraded, f'{seed}/frozen-x/steps', 90, weights),
        (upgraded, f'{seed}/frozen-x/time', 60, weights),
        ('bigger.py', f'{seed}/bigger-y/steps', 190),
        ('bigger.py', f'{seed}/bigger-y/time', 95),
    ]
    study.run(4)
    (task,) = study.runs.queue.bar.tasks
    assert task.total == pytest.approx(study.runs.units)


def test_given_checkpoints(make, tmp_path):
    study = make(checkpoints=['a.pth', 'b.pth'], budgets=['steps'])
    study.run(4)
    assert study.runs.trained[0][-1] == 'b.pth'
    assert len(study.runs.trained) == 4
    make(checkpoints=['a.pth', 'b.pth'])
    with pytest.raises(UserError, match='started from b.pth, not from a.pth'):
        make(checkpoints=['a.pth'], seeds=[4])


def test_an_evaluation_without_an_ap(make):
    study = make()
    study.runs.evaluate = lambda *_, **__: {'pascal_voc/mAP': 0.5}
    with pytest.raises(UserError, match='gives pascal_voc/mAP, and a study'):
        study.run(3)
    assert len(study.runs.trained) == 1  # the base, and no arm
