"""A run that stops with an error continues as if it had not stopped.

- An unreadable image (here and in a worker process), a loss that becomes nan,
  too little memory in the backward pass: what was trained is saved, and the
  resumed run ends with the weights, statistics and optimizer of an
  uninterrupted one, bit for bit, in a loop of iterations and inside an epoch.
- Nothing is saved if nothing was trained, inside a step of the optimizer (of
  any, if there are several), or while the model holds averaged weights; the
  log says why.
- A validation that fails: the state is saved as well.
- A process that is not the main one saves too; on a full disk, the error that
  is raised is still the first one.
"""

import pytest
import torch
from mmengine.optim import OptimWrapper, OptimWrapperDict

from cbnet.datasets.checked_images import ImageFileError
from cbnet.engine import safe_stop
from cbnet.engine.loss_guard import NonFiniteLossError

from .small_run import ORDER, SmallModel, equal, small_run, state

LOOPS = {'iterations': dict(steps=6), 'epochs': dict(epochs=2)}


FOURTH = ORDER[6]  # a sample of the fourth step


@pytest.fixture(params=LOOPS)
def loop(request):
    return LOOPS[request.param]


@pytest.fixture
def whole(tmp_path, loop):
    """The state at the end of an uninterrupted run."""
    small_run(tmp_path / 'whole', **loop).train()
    name = 'epoch_2.pth' if 'epochs' in loop else 'iter_6.pth'
    return name, state(tmp_path / 'whole' / name)


def stop(tmp_path, error, loop, **settings):
    runner = small_run(tmp_path / 'run', **loop, **settings)
    with pytest.raises(error) as raised:
        runner.train()
    return str(raised.value)


def resume(tmp_path, loop, whole):
    """Resume, and compare the end with that of the uninterrupted run."""
    name, end = whole
    small_run(tmp_path / 'run', resume=True, **loop).train()
    assert equal(state(tmp_path / 'run' / name), end)


def newest(tmp_path):
    path = (tmp_path / 'run' / 'last_checkpoint').read_text()
    state(path)  # it is there, and loads
    return path


def test_an_image_that_cannot_be_read(tmp_path, loop, whole):
    message = stop(tmp_path, ImageFileError, loop, broken=[FOURTH])
    assert message == f'image {FOURTH}.jpg is missing'
    assert newest(tmp_path).endswith('stopped_iter_3.pth')
    resume(tmp_path, loop, whole)


def test_an_image_that_a_worker_process_cannot_read(tmp_path):
    runner = small_run(tmp_path / 'run', broken=[FOURTH], workers=2)
    with pytest.raises(ImageFileError) as raised:
        runner.train()
    # Left to the garbage collector, each worker may take 5 seconds.
    runner.train_loop.dataloader_iterator._iterator._shutdown_workers()
    assert str(raised.value) == f'image {FOURTH}.jpg is missing'
    assert newest(tmp_path).endswith('stopped_iter_3.pth')


def test_a_loss_that_becomes_nan(tmp_path, loop, whole, monkeypatch):
    saved = []
    monkeypatch.setattr(
        safe_stop, 'barrier', lambda: saved.append(newest(tmp_path))
    )
    message = stop(tmp_path, NonFiniteLossError, loop, bad=[FOURTH])
    assert message.startswith('iteration 4: loss_a is nan, assist0.loss_b is')
    assert f'{FOURTH}.jpg' in message
    # The forward pass has put nan into the running statistics.
    weights, _ = state(newest(tmp_path))
    # Other processes are kept from ending it until it has saved.
    assert saved == [newest(tmp_path)]
    assert all(value.isfinite().all() for value in weights.values())
    resume(tmp_path, loop, whole)


def test_an_error_in_the_backward_pass(tmp_path, whole, loop, monkeypatch):
    calls = iter(range(9))

    def fail(gradient):
        if next(calls) == 3:
            raise MemoryError('none left')

    forward = SmallModel.forward

    def with_hook(self, *args, **kwargs):
        losses = forward(self, *args, **kwargs)
        losses['loss_a'].register_hook(fail)
        return losses

    with monkeypatch.context() as patch:
        patch.setattr(SmallModel, 'forward', with_hook)
        stop(tmp_path, MemoryError, loop)
    assert newest(tmp_path).endswith('stopped_iter_3.pth')
    resume(tmp_path, loop, whole)


def test_nothing_was_trained(tmp_path):
    stop(tmp_path, ImageFileError, {}, broken=range(8))
    assert not list((tmp_path / 'run').glob('*.pth'))
    assert not (tmp_path / 'run' / 'last_checkpoint').exists()


def logged(tmp_path):
    logs = (tmp_path / 'run').rglob('*.log')  # one for each start
    return ''.join(log.read_text() for log in logs)


def test_inside_a_step(tmp_path, monkeypatch):
    steps = iter(range(9))
    step = torch.optim.AdamW.step

    def fail(self, *args, **kwargs):
        step(self, *args, **kwargs)
        if next(steps) == 2:
            raise RuntimeError('in the middle')

    monkeypatch.setattr(torch.optim.AdamW, 'step', fail)
    stop(tmp_path, RuntimeError, {})
    assert newest(tmp_path).endswith('iter_2.pth')
    assert 'because the optimizer was inside a step' in logged(tmp_path)


def test_steps_of_several_optimizers(tmp_path):
    runner = small_run(tmp_path)
    model = runner.model
    optimizers = {
        name: torch.optim.SGD(part.parameters(), lr=0.1)
        for name, part in (('norm', model.norm), ('layer', model.layer))
    }
    wrappers = {name: OptimWrapper(one) for name, one in optimizers.items()}
    runner.optim_wrapper = OptimWrapperDict(**wrappers)
    for optimizer in optimizers.values():
        hook = safe_stop.SafeStopHook()
        hook.before_train(runner)
        assert hook.obstacle is None
        optimizer.step()
        assert hook.obstacle == 'the optimizer was inside a step'


def failing_validation():
    data = dict(type='SmallData', broken=[1])
    return dict(
        val_dataloader=dict(
            dataset=data, batch_size=1, sampler=dict(type='DefaultSampler')
        ),
        val_cfg=dict(type='ValLoop'),
        val_evaluator=dict(type='DumpResults', out_file_path='x.pkl'),
        train_cfg=dict(val_interval=3),
    )


def test_a_failing_validation(tmp_path):
    stop(tmp_path, ImageFileError, {}, **failing_validation())
    assert newest(tmp_path).endswith('stopped_iter_3.pth')
    ema = dict(type='EMAHook')
    for path in (tmp_path / 'run').iterdir():
        if path.suffix == '.pth' or path.name == 'last_checkpoint':
            path.unlink()
    stop(
        tmp_path, ImageFileError, {},
        custom_hooks=[ema], **failing_validation(),
    )  # fmt: skip
    assert newest(tmp_path).endswith('iter_2.pth')
    assert 'the model held averaged weights' in logged(tmp_path)


def test_another_process_saves_too(tmp_path, monkeypatch):
    monkeypatch.setattr('mmengine.dist.utils.is_main_process', lambda: False)
    monkeypatch.setattr(safe_stop, 'is_main_process', lambda: False)
    stop(tmp_path, ImageFileError, {}, broken=[FOURTH])
    assert newest(tmp_path).endswith('stopped_iter_3.pth')


def test_the_first_error_stays_where_the_disk_is_full(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('os.fsync', full)
    message = stop(
        tmp_path, ImageFileError, {},
        broken=[FOURTH], checkpoint=dict(save_begin=9),
    )  # fmt: skip
    assert message == f'image {FOURTH}.jpg is missing'
    assert 'stopped_iter_3.pth was not saved: No space' in logged(tmp_path)
    assert not list((tmp_path / 'run').glob('*.pth'))
