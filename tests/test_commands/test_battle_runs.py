"""The runs of a battle over several devices, with stand-ins.

1. Each run at a time has a device of its own, and its part of the threads; all
   contests are done. The seeds of a contest, and its rates, run together.
2. The best rate on one split is evaluated on the other; one that fails is not
   chosen. An entry whose measurement failed is not trained, and says why.
3. What was measured stays if something fails later; one report is written at
   a time.
4. An interruption starts no further run, and is no failure of a run.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Barrier, Lock
from time import sleep

import pytest

from cbnet.battle.costs import EntryCost
from cbnet.battle.entries import read_entry
from cbnet.battle.figures import Figures
from cbnet.battle.run_folders import failures, read_choice
from cbnet.commands.battle_estimate import estimate
from cbnet.commands.battle_plan import Contest, Plan
from cbnet.commands.battle_run import BattleRun
from cbnet.commands.battle_runs import Battle, RunOptions
from cbnet.commands.command_queue import CommandFailed, Interrupted
from cbnet.threads import BESIDE


@dataclass
class Data:
    name: str = 'mine'

    def images(self, role):
        return 3


@dataclass
class StandIn:
    """Note the device of each run; two of them wait for each other."""

    devices: list = field(default_factory=list)
    together: Barrier = field(default_factory=lambda: Barrier(2, timeout=60))
    lock: Lock = field(default_factory=Lock)

    def __call__(self, run, runs, *_):
        self.together.wait()
        with self.lock:
            self.devices.append(runs.environment['CUDA_VISIBLE_DEVICES'])
        return Figures({'box AP': run.lr}, {}, {})


def plan(folder, number, lrs=(1.0,), seeds=(0,)):
    contests = [
        Contest(
            read_entry(f'e{i}'), Data(), 'c.py', 'v.py', 10,
            EntryCost(1, 1, step=2.0), folder / f'e{i}',
        )
        for i in range(number)
    ]  # fmt: skip
    return Plan(tuple(contests), lrs, seeds)


def stand_in_for(monkeypatch, evaluate):
    """Replace trainings, which end well, and evaluations."""
    monkeypatch.setattr(BattleRun, 'train', lambda *_: 'last.pth')
    monkeypatch.setattr(BattleRun, 'evaluate', evaluate)


@pytest.mark.parametrize(
    ('seen', 'used'), [('', ['3', '5']), ('9,8,7, 6,5,4', ['4', '6'])]
)
def test_devices(tmp_path, monkeypatch, seen, used):
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', seen)
    done, stand_in = [], StandIn()
    stand_in_for(monkeypatch, lambda *args: stand_in(*args))
    options = RunOptions(devices=['3', '5'], jobs=2)
    battle = Battle(plan(tmp_path, 4), options, lambda: done.append(1))
    battle.run()
    assert sorted(stand_in.devices) == sorted(used * 2)
    assert len(done) == 4 and battle.failed == 0
    (task,) = battle.queue.bar.tasks
    assert task.total == pytest.approx(4 * 2.0 * (10 + 0.4 * 3))


@pytest.mark.parametrize('lrs', [(1.0,), (1.0, 2.0), (1.0, 2.0, 3.0)])
def test_an_entry_uses_all_devices(tmp_path, monkeypatch, lrs):
    together, evaluated, lock = Barrier(2, timeout=60), [], Lock()

    def evaluate(run, runs, role, *_):
        with lock:
            evaluated.append((run.lr, run.seed, role))
            third = len(lrs) == 3 and len(evaluated) == 3
        if not third:  # it has nobody to wait for
            together.wait()
        return Figures({'box AP': run.lr}, {}, {})

    stand_in_for(monkeypatch, evaluate)
    made = plan(tmp_path, 1, lrs, seeds=(0, 1))
    Battle(made, RunOptions(jobs=2), lambda: None).run()
    tried = [(lr, 0, 'val') for lr in lrs] if len(lrs) > 1 else []
    assert sorted(evaluated[: len(tried)]) == tried
    measured = [(lrs[-1], seed, 'test') for seed in (0, 1)]
    assert sorted(evaluated[len(tried) :]) == measured


@pytest.mark.parametrize(('number', 'beside'), [(1, '1'), (3, '2')])
def test_threads_are_shared_among_runs(tmp_path, monkeypatch, number, beside):
    found = []

    def evaluate(run, runs, *_):
        found.append(runs.environment[BESIDE])
        return Figures({'box AP': 0.5}, {}, {})

    stand_in_for(monkeypatch, evaluate)
    Battle(plan(tmp_path, number), RunOptions(jobs=2), lambda: None).run()
    assert found == [beside] * number


def test_the_best_rate(tmp_path, monkeypatch):
    rates = []

    def figures(run, runs, role, *_):
        rates.append((run.lr, role))
        if run.lr == 0.3:
            raise CommandFailed('text', 'loss is nan')
        return Figures({'box AP': 1 - run.lr}, {}, {})

    stand_in_for(monkeypatch, figures)
    lrs = (0.3, 0.2, 0.1, 0.4)
    battle = Battle(plan(tmp_path, 1, lrs), RunOptions(), lambda: None)
    battle.run()
    assert rates == [*((lr, 'val') for lr in lrs), (0.1, 'test')]
    assert failures(tmp_path / 'e0') == {'lr-0.3/seed-0/val': 'loss is nan'}


def test_a_later_failure_changes_no_choice(tmp_path, monkeypatch):
    """What was measured stays, though evaluations of the same run fail."""
    broken, evaluated = {'test'}, []

    def evaluate(run, runs, role, *_):
        evaluated.append((run.lr, role))
        if role in broken:
            raise CommandFailed('text', 'no disk')
        return Figures({'box AP': run.lr}, {}, {})

    stand_in_for(monkeypatch, evaluate)
    for _ in range(2):
        battle = Battle(
            plan(tmp_path, 1, (0.1, 0.2)), RunOptions(), lambda: None
        )
        battle.run()
        assert battle.failed == 1
        assert read_choice(tmp_path / 'e0') == 0.2
        assert failures(tmp_path / 'e0') == {'lr-0.2/seed-0/test': 'no disk'}
    assert (0.1, 'test') not in evaluated
    broken.clear()
    retried = RunOptions(retry=True)
    Battle(plan(tmp_path, 1, (0.1, 0.2)), retried, lambda: None).run()
    assert not failures(tmp_path / 'e0')


def test_one_report_at_a_time(tmp_path, monkeypatch):
    """Contests that end together do not write the tables together."""
    busy, together = Lock(), Barrier(2, timeout=60)

    def evaluate(*_):
        together.wait()
        return Figures({'box AP': 0.5}, {}, {})

    def done():
        assert busy.acquire(blocking=False)
        sleep(0.05)
        busy.release()

    stand_in_for(monkeypatch, evaluate)
    Battle(plan(tmp_path, 8), RunOptions(jobs=2), done).run()


@pytest.mark.parametrize('jobs', [1, 2])
def test_an_interruption(tmp_path, monkeypatch, jobs):
    begun = []

    def figures(run, *_):
        begun.append(run.contest.entry.name)
        raise Interrupted

    stand_in_for(monkeypatch, figures)
    options = RunOptions(jobs=jobs)
    battle = Battle(plan(tmp_path, 9), options, lambda: None)
    with pytest.raises(Interrupted):
        battle.run()
    assert len(begun) < 9
    assert not any(failures(Path(tmp_path, name)) for name in begun)


def test_a_failed_measurement(tmp_path, monkeypatch):
    stand_in_for(monkeypatch, pytest.fail)
    made = plan(tmp_path, 1)
    cost = EntryCost(1, 1, failed='images do not fit')
    contest = replace(made.contests[0], cost=cost)
    battle = Battle(replace(made, contests=(contest,)), RunOptions(), print)
    battle.run()
    assert battle.failed == 1
    (reason,) = failures(tmp_path / 'e0').values()
    assert reason == 'in the measurement: images do not fit'


def test_the_estimate_of_several_devices(tmp_path):
    """Only devices that have runs count; runs that share one take longer."""
    made = plan(tmp_path, 2)
    contests = tuple(
        replace(
            one,
            steps=3600,
            cost=EntryCost(1, 1, macs=1, latency=0.0, step=1.0),
        )
        for one in made.contests
    )
    made = replace(made, contests=contests)
    assert '60 minutes with 2 devices' in estimate(made, 8, 8, None)
    alone = estimate(made, 1, 1, None)
    assert alone.endswith('about 2 hours of a device')
    shared = estimate(made, 1, 8, 3.0)
    assert shared.endswith(
        'about 2 hours of a device, and 6.00 at 3 an hour; runs that share a '
        'device slow each other down'
    )
    made = replace(made, seeds=(0, 1, 2))
    assert '1.5 hours with 4 devices' in estimate(made, 4, 4, None)
    assert '60 minutes with 6 devices' in estimate(made, 8, 8, None)
