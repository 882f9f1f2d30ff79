"""The figures of a run, by two processes and after a kill.

1. They are computed once, while no other process works in the folder.
2. Samples that a kill left broken are drawn again, without an evaluation.
3. Where another process was faster, its figures are taken.
"""

import json

import pytest

from cbnet.battle.costs import EntryCost
from cbnet.battle.data import find_data
from cbnet.battle.entries import read_entry
from cbnet.battle.figures import read_figures, write_figures
from cbnet.commands import battle_run
from cbnet.commands.battle_contests import Contest
from cbnet.commands.battle_run import BattleRun
from cbnet.commands.command_queue import CommandQueue
from cbnet.commands.run_lock import RunIsBusy, locked
from cbnet.commands.runs import Runs


@pytest.fixture
def run(tiny_coco, tmp_path, monkeypatch):
    """Give a run whose evaluations leave results; ``run.calls`` lists them."""
    (data,) = find_data([tiny_coco.root], tmp_path / 'data')
    data.write()
    entry, cost = read_entry('resnet18'), EntryCost(1, 1, step=1.0)
    contest = Contest(entry, data, 'c.py', 'v.py', 2, cost, tmp_path / 'runs')
    made = BattleRun(contest, 1e-3, 0)
    folder, calls = made.place('test'), []
    content = json.loads(data.splits['test'].annotations.read_text())
    found = [one | dict(score=0.5) for one in content['annotations']]

    def leave_results(*_, **__):
        calls.append('test')
        place = folder / 'time' / 'metrics.json'
        place.parent.mkdir(parents=True)
        place.write_text('{}')
        (folder / 'results.bbox.json').write_text(json.dumps(found))

    def run():
        queue = CommandQueue(1)
        return made.evaluate(Runs(queue), 'test', 'iter_2.pth', samples=20)

    monkeypatch.setattr(CommandQueue, 'run', leave_results)
    run.calls, run.folder = calls, folder
    run.annotations = data.splits['test'].annotations
    return run


def test_figures_are_computed_under_the_lock(run, monkeypatch):
    computed = []

    def compute(folder, *given):
        with pytest.raises(RunIsBusy), locked(folder):
            pass
        computed.append(folder)
        return write_figures(folder, *given)

    monkeypatch.setattr(battle_run, 'write_figures', compute)
    samples = run().samples['box']
    file = run.folder / 'samples.npz'
    file.write_bytes(file.read_bytes()[:100])
    for _ in range(2):
        assert (run().samples['box'] == samples).all()
        assert (read_figures(run.folder).samples['box'] == samples).all()
    assert run.calls == ['test'] and computed == [run.folder] * 2


def test_another_process_was_faster(run, monkeypatch):
    evaluate = Runs.evaluate

    def evaluate_for_both(self, *given):
        evaluate(self, *given)
        write_figures(run.folder, run.annotations, 20)

    monkeypatch.setattr(Runs, 'evaluate', evaluate_for_both)
    monkeypatch.setattr(battle_run, 'write_figures', pytest.fail)
    assert run().figures['box AP'] > 0.999
