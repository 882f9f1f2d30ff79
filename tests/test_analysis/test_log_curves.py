"""Logs of training runs.

A work dir, the folder of one process and a file can be read. Resumed runs are
joined at the iteration of the checkpoint, with and without mmengine's text
log; a restart replaces everything. Evaluations lie at their iteration,
whatever unit mmengine counts them in. Half a line at the end and tests in the
work dir are ignored; a path without a log is named.
"""

import json

import numpy as np
import pytest

from cbnet.analysis.log_curves import RunLog, labels_of, read_run, smoothed

from .training_logs import train

EARLY, LATE, LATEST = '20260101_000000', '20260102_000000', '20260102_000001'


def evaluated(step=0, **values):
    return {'coco/bbox_mAP': 0.5, 'time': 9.0, 'step': step, **values}


def steps(*numbers, **values):
    return [train(number, **values) for number in numbers]


def test_file_folder_and_work_dir(write_log, tmp_path):
    file = write_log('run', EARLY, [*steps(10, 20), evaluated()])
    assert read_run(tmp_path / 'run').train == read_run(file).train
    assert read_run(tmp_path / 'run' / EARLY).train == read_run(file).train
    assert read_run(file.parent).train == read_run(file).train
    run = read_run(file)
    assert run.keys() == ['lr', 'loss', 'time', 'coco/bbox_mAP']
    at, values = run.curve('loss')
    assert at.tolist() == [10, 20] and values.tolist() == [1, 0.5]
    # the seconds of evaluations are left out
    assert run.curve('time')[1].tolist() == [1, 1]
    assert run.curve('memory')[0].shape == (0,)
    assert run.resumed == []


@pytest.mark.parametrize('resumed', [40, False])
def test_a_resumed_run_is_joined(write_log, tmp_path, resumed):
    """The run was killed at 75; its last checkpoint is of 40."""
    before = [*steps(10, 20, 30, 40, old=1), evaluated(40)]
    before += [*steps(50, 60, 70, old=1), evaluated(70)]
    write_log('run', EARLY, before)
    write_log('run', LATE, [*steps(50, 60, 80), evaluated(80)], resumed)
    run = read_run(tmp_path / 'run')
    assert run.curve('loss')[0].tolist() == [10, 20, 30, 40, 50, 60, 80]
    assert run.curve('old')[0].tolist() == [10, 20, 30, 40]
    assert run.curve('coco/bbox_mAP')[0].tolist() == [40, 80]
    assert run.resumed == [40 if resumed else 49]


def test_the_place_of_the_checkpoint_counts(write_log, tmp_path):
    """The first process logs every 10 steps, the second one every 50."""
    write_log('run', EARLY, steps(10, 20, 30, 40, 50, 60))
    write_log('run', LATE, steps(50, 100), 20)
    run = read_run(tmp_path / 'run')
    assert run.curve('loss')[0].tolist() == [10, 20, 50, 100]
    assert run.resumed == [20]


def test_resumed_twice_and_from_before(write_log, tmp_path):
    write_log('run', EARLY, steps(10, 20, 30))
    write_log('run', LATE, steps(30, 40), 20)
    write_log('run', LATEST, steps(40, 50), 30)
    assert read_run(tmp_path / 'run').resumed == [20, 30]
    write_log('run', '20260103_000000', steps(20, 30), 10)
    run = read_run(tmp_path / 'run')
    assert run.resumed == [10]
    assert run.curve('loss')[0].tolist() == [10, 20, 30]


def test_a_restart_replaces_all(write_log, tmp_path):
    write_log('run', EARLY, steps(1, 2, 3))
    write_log('run', LATE, steps(10, 20))
    run = read_run(tmp_path / 'run')
    assert run.curve('loss')[0].tolist() == [10, 20] and not run.resumed


def test_evaluations_lie_where_training_was(write_log):
    by_epoch = [
        {**line, 'epoch': epoch}
        for epoch, line in ((1, train(50)), (2, train(100)))
    ]
    lines = [by_epoch[0], evaluated(1), by_epoch[1], evaluated(2)]
    # without epochs, mmengine logs 0 unless log_metric_by_epoch=False
    lines += [train(150), evaluated(0), train(200), evaluated(210)]
    run = read_run(write_log('run', EARLY, lines))
    assert run.curve('coco/bbox_mAP')[0].tolist() == [50, 100, 150, 210]
    assert 'epoch' not in run.keys()


def test_nothing_to_measure_is_a_gap(write_log):
    lines = [train(1), evaluated(1, **{'coco/bbox_mAP_s': -1.0})]
    run = read_run(write_log('run', EARLY, lines))
    assert np.isnan(run.curve('coco/bbox_mAP_s')[1]).all()


def test_prefixes_and_values_other_than_numbers(write_log):
    lines = [{'train/loss': float('nan'), 'train/lr': 1, 'iter': 5}]
    lines[0] |= dict(step=5, note='text')
    lines.append({'val/coco/bbox_mAP': 0.1, 'val/time': 3.0, 'step': 5})
    run = read_run(write_log('run', EARLY, lines))
    assert run.keys() == ['loss', 'lr', 'coco/bbox_mAP']
    assert np.isnan(run.curve('loss')[1]).all()


def test_half_a_line_and_tests_are_passed_over(write_log, tmp_path):
    write_log('run', EARLY, steps(10, 20), end='\n{"loss": 0.')
    write_log('run', LATE, [evaluated()])  # only an evaluation
    (tmp_path / 'run' / LATEST / 'vis_data').mkdir(parents=True)  # a test
    run = read_run(tmp_path / 'run')
    assert run.curve('loss')[0].tolist() == [10, 20]
    assert run.evaluations == []


def test_a_path_without_a_log_is_named(write_log, tmp_path):
    file = write_log('runs/a', EARLY, steps(10))
    write_log('runs/b', EARLY, [evaluated()])
    for path, message in (
        (tmp_path / 'gone', 'gone: no such file or folder'),
        (tmp_path / 'runs', 'runs: no log there; .*; there are logs in .*/a'),
        (tmp_path / 'runs' / 'b', 'scalars.json: no training step was log'),
    ):
        with pytest.raises(ValueError, match=message):
            read_run(path)
    for text in ('{"loss": \n{"iter": 1, "step": 1}', '[1]\n', '{"a": 1}\n'):
        file.write_text(text + json.dumps(train(20)))
        with pytest.raises(ValueError, match='scalars.json: line 1 is'):
            read_run(tmp_path / 'runs' / 'a')


def test_labels_differ(tmp_path):
    def labels(*paths):
        return labels_of([RunLog(tmp_path / path) for path in paths])

    assert labels('x/dual', 'x/single') == ['dual', 'single']
    assert labels('x/dual', 'y/dual') == ['x/dual', 'y/dual']
    file = f'x/dual/{EARLY}/vis_data/scalars.json'
    assert labels(file) == [f'dual/{EARLY}']
    assert labels(f'x/dual/{EARLY}', f'x/dual/{LATE}')[1] == f'dual/{LATE}'
    assert len(set(labels('x/dual', 'x/dual'))) == 2


def test_running_means():
    values = np.array([1, 3, np.nan, 5, np.inf, 7])
    expected = [1, 2, np.nan, 4, np.inf, 6]
    assert np.array_equal(smoothed(values, 3), expected, equal_nan=True)
    assert np.array_equal(smoothed(values, 1), values, equal_nan=True)
    assert smoothed(np.array([4.0, 2.0]), 9).tolist() == [4, 3]
