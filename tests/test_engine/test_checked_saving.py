"""Checkpoints that were saved before survive a failure to save.

- A disk that is full half way through, and a limit on the size of files that
  the system enforces: the error names the file, its size and the free space;
  no half file is left.  The newest earlier checkpoint can be resumed, even
  with ``max_keep_ckpts=1``; the same holds for the best checkpoint.
- ``kill -9`` while saving: an unfinished file is never taken for a
  checkpoint, and the resumed run removes it.
- Without a failure the same files remain as with mmengine's hook, under
  ``max_keep_ckpts`` and ``save_best`` and after resuming; a best checkpoint
  that is saved again under its own name stays.
- A figure of ``save_best`` that is not evaluated is a line, not the end.
- Weights that are nan are not saved; on folders that are not local, files
  are written in mmengine's own way.
"""

import errno
import multiprocessing
import os
import re
import resource
import signal

import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import CheckpointHook
from mmengine.registry import HOOKS, METRICS
from mmengine.runner import find_latest_checkpoint

from cbnet.atomic_files import (
    FileNotSavedError,
    remove_unfinished,
    write_whole,
)
from cbnet.engine.checked_saving import SafeCheckpointHook, SpoiledWeightsError

from .small_run import equal, small_run, state


def names(folder):
    return sorted(
        p.name for p in folder.iterdir() if re.search(r'pth|tmp|last_', p.name)
    )


@pytest.fixture
def full_disk(monkeypatch):
    """A disk that has room for the first half of a file only."""
    real = open

    class Half:
        def __init__(self, path, mode):
            self.file = real(path, mode)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.file.close()

        def write(self, content):
            self.file.write(content[: len(content) // 2])
            self.file.flush()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def fill():
        monkeypatch.setattr('cbnet.atomic_files.open', Half, raising=False)

    fill.undo = monkeypatch.undo
    return fill


def test_a_file_is_whole_or_as_before(tmp_path, full_disk):
    path = tmp_path / 'new' / 'a.pth'
    write_whole(path, b'first')
    full_disk()
    with pytest.raises(FileNotSavedError) as raised:
        write_whole(path, bytes(3_000_000))
    message = str(raised.value)
    assert f'{path} was not saved: No space left on device' in message
    assert re.search(r'it needs 3\.0 MB, [\d.]+ MB are free', message)
    assert 'untouched' in message and '--resume' in message
    assert os.listdir(path.parent) == ['a.pth']
    assert path.read_bytes() == b'first'


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(FileNotSavedError, match='free space unknown'):
        write_whole(tmp_path / 'file' / 'sub' / 'a.pth', b'x')


def test_an_interrupted_write_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr('os.fsync', interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / 'a.pth', b'x')
    assert not os.listdir(tmp_path)


def test_a_full_disk_in_training(tmp_path, full_disk):
    runner = small_run(tmp_path, steps=2, checkpoint=dict(max_keep_ckpts=1))
    runner.train()
    end = state(tmp_path / 'iter_2.pth')
    before = names(tmp_path)
    assert before == ['iter_2.pth', 'last_checkpoint']
    full_disk()
    runner = small_run(
        tmp_path, resume=True, checkpoint=dict(max_keep_ckpts=1)
    )
    with pytest.raises(FileNotSavedError, match='iter_4.pth was not saved'):
        runner.train()
    full_disk.undo()
    assert names(tmp_path) == before
    newest = find_latest_checkpoint(tmp_path)
    assert newest == str(tmp_path / 'iter_2.pth')
    assert equal(state(newest), end)
    small_run(tmp_path, resume=True, checkpoint=dict(max_keep_ckpts=1)).train()
    assert names(tmp_path) == ['iter_6.pth', 'last_checkpoint']


def in_a_process(run):
    """Run a function in a forked process; return the exit code."""
    process = multiprocessing.get_context('fork').Process(target=run)
    process.start()
    process.join()
    return process.exitcode


def test_a_limit_that_the_system_enforces(tmp_path):
    small_run(tmp_path, steps=2, checkpoint=dict(max_keep_ckpts=1)).train()
    size = (tmp_path / 'iter_2.pth').stat().st_size

    def run():
        runner = small_run(
            tmp_path, resume=True, checkpoint=dict(max_keep_ckpts=1)
        )
        resource.setrlimit(resource.RLIMIT_FSIZE, (size - 99, size - 99))
        try:
            runner.train()
        except FileNotSavedError as error:
            found = re.search(
                'iter_4.pth was not saved: File too l', str(error)
            )
            os._exit(7 if found else 1)

    assert in_a_process(run) == 7
    assert names(tmp_path) == ['iter_2.pth', 'last_checkpoint']
    assert equal(
        state(find_latest_checkpoint(tmp_path)), state(tmp_path / 'iter_2.pth')
    )


def test_killed_while_saving(tmp_path):
    small_run(tmp_path, steps=2).train()

    def run():
        def kill(descriptor):
            os.kill(os.getpid(), signal.SIGKILL)

        runner = small_run(tmp_path, resume=True)
        os.fsync = kill
        runner.train()

    assert in_a_process(run) == -signal.SIGKILL
    unfinished, *others = names(tmp_path)
    assert re.fullmatch(r'\.unfinished-iter_4\.pth-\d+-\d+\.tmp', unfinished)
    assert others == ['iter_2.pth', 'last_checkpoint']
    newest = find_latest_checkpoint(tmp_path)
    assert newest == str(tmp_path / 'iter_2.pth')
    small_run(tmp_path, resume=True).train()
    assert names(tmp_path) == [
        'iter_2.pth', 'iter_4.pth', 'iter_6.pth', 'last_checkpoint',
    ]  # fmt: skip


def test_only_unfinished_files_are_removed(tmp_path):
    for name in ('a.pth', 'notes.tmp', '.unfinished-a.pth-12.tmp'):
        (tmp_path / name).touch()
    assert remove_unfinished(tmp_path) == [
        tmp_path / '.unfinished-a.pth-12.tmp'
    ]
    assert sorted(os.listdir(tmp_path)) == ['a.pth', 'notes.tmp']
    assert remove_unfinished(tmp_path / 'nowhere') == []


@METRICS.register_module(force=True)
class GivenMetric(BaseMetric):
    """Return 1, 3, 2, ... from one evaluation to the next, as two metrics."""

    scores = (1, 3, 2, 5)

    def __init__(self, first=0):
        super().__init__()
        self.left = list(self.scores[first:])

    def process(self, batch, samples):
        self.results.append(0)

    def compute_metrics(self, results):
        score = self.left.pop(0)
        return dict(a=score, b=10 - score)


def evaluated(work_dir, first=0, best='a', **settings):
    """Build a run that is evaluated every second step."""
    return small_run(
        work_dir,
        val_dataloader=dict(
            dataset=dict(type='SmallData'),
            batch_size=1,
            sampler=dict(type='DefaultSampler', shuffle=False),
        ),
        val_cfg=dict(type='ValLoop'),
        val_evaluator=dict(type='GivenMetric', first=first),
        train_cfg=dict(val_interval=2),
        checkpoint=dict(
            max_keep_ckpts=2,
            save_best=best,
            rule='greater',
            **settings.pop('checkpoint', {}),
        ),
        **settings,
    )


@HOOKS.register_module(force=True)
class PlainCheckpointHook(CheckpointHook):
    """mmengine's hook under a name that the guards leave alone."""


@pytest.mark.parametrize('best', ['ab', ['a', 'ab']])
def test_a_best_figure_that_is_not_evaluated(tmp_path, best, capsys):
    evaluated(tmp_path, steps=4, best=best).train()
    said = capsys.readouterr()
    message = (
        "save_best='ab': the evaluation gives no such figure; did you mean "
        "'b' or 'a'?; no best checkpoint is kept, expected one of a, b"
    )
    assert message in said.out + said.err
    assert not [name for name in names(tmp_path) if 'best' in name]


@pytest.mark.parametrize('best', ['a', ['a', 'b']])
def test_the_same_files_as_mmengine(tmp_path, best):
    for side, kind in (
        ('ours', 'CheckpointHook'),
        ('theirs', 'PlainCheckpointHook'),
    ):
        options = dict(best=best, checkpoint=dict(type=kind))
        evaluated(tmp_path / side, steps=6, **options).train()
        evaluated(tmp_path / side, 3, steps=8, resume=True, **options).train()
    assert names(tmp_path / 'ours') == names(tmp_path / 'theirs')
    assert 'best_a_iter_8.pth' in names(tmp_path / 'ours')
    for name in names(tmp_path / 'ours')[:-1]:
        one, other = (
            torch.load(tmp_path / side / name, weights_only=True)
            for side in ('ours', 'theirs')
        )
        assert equal(one['state_dict'], other['state_dict'])
        hubs = [f['message_hub']['runtime_info'] for f in (one, other)]
        keys = [k for k in hubs[0] if 'best' in k or 'ckpt' in k]
        assert hubs[0].keys() == hubs[1].keys() and len(keys) > 2
        for key in keys:
            texts = [str(hub[key]) for hub in hubs]
            assert texts[0] == texts[1].replace('theirs', 'ours')


def test_a_better_one_under_the_name_of_the_best(tmp_path):
    """A loop of iterations may be evaluated twice in one epoch."""
    evaluated(tmp_path, steps=5, checkpoint=dict(by_epoch=True)).train()
    (best,) = tmp_path.glob('best_*.pth')
    assert best.name == 'best_a_epoch_0.pth'
    saved = torch.load(best, weights_only=True)
    assert saved['meta']['iter'] == 4
    assert saved['message_hub']['runtime_info']['best_score'] == 3


def test_a_full_disk_for_the_best(tmp_path, full_disk, monkeypatch):
    """The previous best checkpoint stays until the new one is saved."""
    write = write_whole

    def fill(path, content):
        if 'best_a_iter_4' in str(path):
            full_disk()
        write(path, content)

    monkeypatch.setattr('cbnet.atomic_files.write_whole', fill)
    with pytest.raises(FileNotSavedError, match='best_a_iter_4.pth was not'):
        evaluated(tmp_path).train()
    monkeypatch.undo()
    assert names(tmp_path) == [
        'best_a_iter_2.pth', 'iter_2.pth', 'iter_4.pth', 'last_checkpoint',
    ]  # fmt: skip
    evaluated(tmp_path, first=2, resume=True).train()
    assert names(tmp_path) == [
        'best_a_iter_6.pth', 'iter_4.pth', 'iter_6.pth', 'last_checkpoint',
    ]  # fmt: skip


def test_spoiled_weights_are_not_saved(tmp_path):
    runner = small_run(tmp_path)
    loop = runner.train_loop
    run_iter = loop.run_iter

    def spoil(batch):
        if loop.iter == 3:
            runner.model.layer.weight.register_hook(
                lambda gradient: gradient * float('nan')
            )
        run_iter(batch)

    loop.run_iter = spoil
    with pytest.raises(SpoiledWeightsError) as raised:
        runner.train()
    message = str(raised.value)
    assert 'after iteration 4, 1 of 5 weights hold nan or inf' in message
    assert '(layer.weight)' in message
    assert f'the last one saved is {tmp_path / "iter_2.pth"}' in message
    assert names(tmp_path) == ['iter_2.pth', 'last_checkpoint']


def test_other_backends_stay(tmp_path):
    given = dict(backend='local')
    hook = SafeCheckpointHook(interval=1, backend_args=given)
    runner = small_run(tmp_path)
    hook.before_train(runner)
    assert hook.backend_args is given
    hook = SafeCheckpointHook(interval=1)
    hook.before_train(runner)
    assert hook.backend_args == dict(backend='whole')
