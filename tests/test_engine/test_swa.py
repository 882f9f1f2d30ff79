"""SWA as published.

- After every epoch of a run, the average is the mean of the weights at the
  ends of its epochs, running statistics included, without the weights that
  the run starts from; training continues with the trained weights.
- The learning rate of every iteration is that of the published curve, also
  with the number of iterations that COCO has.
- A run that stops continues as if it had not stopped: between epochs, inside
  the first epoch (nothing is averaged yet), inside another one, and just
  after an epoch was averaged.  A stop in the first epoch saves the trained
  weights.
- One clear error each: nothing to start from, or only a part of it; a loop
  without epochs; a second averaging hook; resuming the file of another run.
- The configs differ from their bases only in the schedule, and download
  nothing.
"""

import math

import pytest
import torch
from mmengine.config import Config
from mmengine.optim.scheduler import CosineRestartLR
from torch import nn

from .small_run import SmallModel, equal
from .swa_runs import ROOT, SCHEDULE, Recorder, StopAt, mean, read, run


@pytest.fixture(scope='module')
def start(tmp_path_factory):
    torch.manual_seed(5)
    path = tmp_path_factory.mktemp('start') / 'trained.pth'
    torch.save(dict(state_dict=SmallModel().state_dict()), path)
    return str(path)


@pytest.fixture(scope='module')
def whole(tmp_path_factory, start):
    """An uninterrupted run: its folder and what was recorded."""
    recorder = Recorder()
    folder = tmp_path_factory.mktemp('whole')
    run(folder, [recorder], load_from=start)
    return folder, recorder


def test_the_average_is_the_mean_of_epoch_ends(whole, start):
    folder, recorder = whole
    for epochs in (1, 2, 3):
        saved = read(folder / f'epoch_{epochs}.pth')
        expected = mean(recorder.ends[:epochs])
        assert 'norm.running_var' in expected
        for name, value in expected.items():
            found = saved['state_dict'][name].double()
            torch.testing.assert_close(found, value, rtol=0, atol=1e-7)
        last = recorder.ends[epochs - 1]
        count = saved['state_dict']['norm.num_batches_tracked']
        assert count == last['norm.num_batches_tracked'] == 4 * epochs
        trained = {
            name.removeprefix('module.'): value
            for name, value in saved['ema_state_dict'].items()
            if name != 'steps'
        }
        assert equal(trained, dict(last))
    first = read(start)['state_dict']
    assert (recorder.ends[0]['layer.weight'] - first['layer.weight']).any()


def curve(step, length, rate):
    cosine = (1 + math.cos(math.pi * (step % length) / length)) / 2
    return rate * (0.01 + 0.99 * cosine)


def test_the_rate_of_every_iteration(tmp_path, start):
    recorder = Recorder()
    run(tmp_path, [recorder], epochs=12, load_from=start)
    expected = [curve(step, 4, 0.1) for step in range(12 * 4)]
    assert recorder.rates == pytest.approx(expected, rel=1e-12)


def test_the_rate_over_the_iterations_of_coco():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=5e-5)
    options = SCHEDULE.swa_param_scheduler[0].to_dict()
    assert options.pop('type') == 'CosineRestartLR'
    assert options.pop('convert_to_iter_based')
    length = 14_659  # of batches of 8
    scheduler = CosineRestartLR.build_iter_from_epoch(
        optimizer, epoch_length=length, **options
    )
    rates = []
    for _ in range(2 * length + 2):
        rates.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        scheduler.step()
    expected = [curve(step, length, 5e-5) for step in range(len(rates))]
    assert rates == pytest.approx(expected, rel=1e-7)
    assert max(rates) == rates[length] == 5e-5
    assert min(rates) == pytest.approx(5e-7, rel=1e-5)


RARELY = dict(type='CheckpointHook', interval=9)
STOPS = {
    'in the first epoch': ('before_train_iter', 2),
    'in the second epoch': ('before_train_iter', 6),
    'after an epoch was averaged': ('after_train_epoch', 8),
}


@pytest.mark.parametrize('stop', STOPS.values(), ids=STOPS)
def test_continues_after_a_stop(tmp_path, start, whole, stop):
    with pytest.raises(RuntimeError, match='stopped'):
        # No checkpoint of an epoch, so that the stop's is the newest.
        run(
            tmp_path, [StopAt(*stop)], load_from=start,
            default_hooks=dict(checkpoint=RARELY),
        )  # fmt: skip
    stopped = read(tmp_path / f'stopped_iter_{stop[1]}.pth')
    assert int(stopped['ema_state_dict']['steps']) == stop[1] // 4
    run(tmp_path, resume=True)
    expect_the_same_end(tmp_path, whole)


def test_a_stop_before_the_first_average(tmp_path, start):
    stop = StopAt('before_train_iter', 2)
    with pytest.raises(RuntimeError, match='stopped'):
        run(tmp_path, [stop], load_from=start)
    stopped = read(tmp_path / 'stopped_iter_2.pth')
    trained = stopped['ema_state_dict']
    for name, value in stopped['state_dict'].items():
        assert torch.equal(value, trained[f'module.{name}'])
    moved = trained['module.layer.weight']
    assert (moved - read(start)['state_dict']['layer.weight']).any()


def test_continues_from_the_end_of_an_epoch(tmp_path, whole):
    source = str(whole[0] / 'epoch_1.pth')
    run(tmp_path, resume=True, load_from=source)
    expect_the_same_end(tmp_path, whole)


def expect_the_same_end(folder, whole):
    expected = read(whole[0] / 'epoch_3.pth')
    found = read(folder / 'epoch_3.pth')
    for part in ('state_dict', 'ema_state_dict'):
        assert equal(dict(found[part]), dict(expected[part]))
    assert equal(found['optimizer']['state'], expected['optimizer']['state'])
    rates = [
        f['param_schedulers'][0]['_last_value'] for f in (found, expected)
    ]
    assert rates[0] == rates[1]


def refused(folder, **settings):
    with pytest.raises(ValueError) as raised:
        run(folder, **settings)
    return str(raised.value)


def test_nothing_to_start_from(tmp_path, start):
    for settings in ({}, dict(resume=True)):
        message = refused(tmp_path, **settings)
        assert '--cfg-options load_from=FILE.pth' in message
    weights = read(start)['state_dict']
    del weights['layer.bias']
    torch.save(dict(state_dict=weights), tmp_path / 'partly.pth')
    message = refused(tmp_path, load_from=str(tmp_path / 'partly.pth'))
    assert 'the file lacks 1 (layer.bias)' in message


def test_a_loop_without_epochs(tmp_path, start):
    message = refused(
        tmp_path, load_from=start,
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=4),
        param_scheduler=None,
    )  # fmt: skip
    assert (
        "IterBasedTrainLoop has none; set train_cfg=dict(type='Ep" in message
    )


def test_a_second_averaging_hook(tmp_path, start):
    hooks = [*SCHEDULE.swa_hooks, dict(type='EMAHook')]
    message = refused(tmp_path, load_from=start, custom_hooks=hooks)
    assert message.startswith('SWAHook and EMAHook would both')


@pytest.mark.parametrize('hooks', [[], [dict(type='EMAHook')]])
def test_resuming_the_file_of_another_run(tmp_path, hooks):
    run(tmp_path / 'other', epochs=1, custom_hooks=hooks)
    source = str(tmp_path / 'other' / 'epoch_1.pth')
    message = refused(tmp_path, resume=True, load_from=source)
    assert message.startswith(f'{source} is not of a run with SWAHook')
    assert f'load_from={source}' in message


CONFIGS = sorted((ROOT / 'configs/cbnet').glob('*_swa.py'))


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_the_configs(path):
    swa = Config.fromfile(path).to_dict()
    base = path.with_name(path.name.replace('_swa', ''))
    plain = Config.fromfile(base).to_dict()
    assert swa['train_cfg']['max_epochs'] == 12
    (scheduler,) = swa['param_scheduler']
    assert scheduler['type'] == 'CosineRestartLR'
    assert swa['custom_hooks'] == [dict(type='SWAHook')]
    assert swa['model']['backbone']['member'].pop('init_cfg') is None
    plain['model']['backbone']['member'].pop('init_cfg')
    changed = {'train_cfg', 'param_scheduler', 'custom_hooks'}
    pieces = {f'swa_{name}' for name in ('hooks', *changed)}
    for key in set(swa) - changed - pieces:
        assert swa[key] == plain[key]
    assert len(CONFIGS) == 3
