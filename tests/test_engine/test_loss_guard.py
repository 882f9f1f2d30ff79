"""A loss that is nan or inf stops the step before the weights change.

- Any detector, plain or with assistance: the error names the losses, the
  iteration and the images; weights and optimizer do not change, and the same
  model continues with a good batch.
- The same with gradient accumulation and under mixed precision.
- Gradients that a loss scale makes infinite are not an error.
- Finite losses whose sum overflows; a model without losses;
  ``torch.compile``.
- Two processes, one of them with a bad loss: both stop at the same step and
  both name the loss.
- After training the model is as it was before.
"""

import copy
import multiprocessing
import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist
from mmengine.optim import OptimWrapper

from cbnet.engine.loss_guard import (
    LossGuardHook,
    NonFiniteLossError,
    image_names,
)
from cbnet.engine.mixed_precision import CpuAmpOptimWrapper
from cbnet.testing import (
    build_model,
    make_batch,
    tiny_composite,
    tiny_detector,
)

from .small_run import SmallModel, small_run


def guarded(model, wrapper=OptimWrapper, **options):
    """Return a function that trains one step as a runner does."""
    hook = LossGuardHook()
    runner = SimpleNamespace(model=model, iter=11)
    optim = wrapper(
        optimizer=torch.optim.SGD(model.parameters(), lr=0.001), **options
    )
    hook.before_train(runner)

    def step(batch):
        hook.before_train_iter(runner, 0, batch)
        return model.train_step(batch, optim_wrapper=optim)

    step.stop = lambda: hook.after_train(runner)
    return step


def named_batch():
    batch = make_batch()
    for i, sample in enumerate(batch['data_samples']):
        sample.set_metainfo(dict(img_path=f'train/{i}.jpg'))
    return batch


def detector(base, assisted):
    torch.manual_seed(0)
    if not assisted:
        return build_model(tiny_detector(base)).train()
    cfg = tiny_detector(base, tiny_composite())
    cfg.update(type='AssistedDetector', base=base)
    return build_model(cfg).train()


def spoiled_batch():
    batch = named_batch()
    batch['inputs'] = [image * float('nan') for image in batch['inputs']]
    return batch


@pytest.mark.parametrize(
    ('base', 'assisted', 'loss'),
    [
        ('RetinaNet', False, 'loss_cls is nan'),
        ('MaskRCNN', False, 'loss_rpn_cls is nan'),
        ('MaskRCNN', True, 'assist0.loss_rpn_cls is nan'),
    ],
)
def test_any_detector(base, assisted, loss):
    model = detector(base, assisted)
    step = guarded(model)
    before = copy.deepcopy(dict(model.named_parameters()))
    with pytest.raises(NonFiniteLossError) as raised:
        step(spoiled_batch())
    message = str(raised.value)
    assert message.startswith('iteration 12: ')
    assert loss in message
    assert 'in the batch of train/0.jpg, train/1.jpg. Expected' in message
    for name, weight in model.named_parameters():
        assert torch.equal(weight, before[name])
        assert weight.grad is None
    for module in model.modules():  # in a run, SafeStopHook does this
        if isinstance(module, torch.nn.BatchNorm2d):
            module.reset_running_stats()
    assert step(named_batch())['loss'].isfinite()
    assert any(
        not torch.equal(weight, before[name])
        for name, weight in model.named_parameters()
    )


def test_a_bad_loss_of_the_assistant():
    model = detector('RetinaNet', True)
    step = guarded(model)
    model.plans = (replace(model.plans[0], weight=float('inf')),)
    with pytest.raises(NonFiniteLossError) as raised:
        step(named_batch())
    found = str(raised.value).partition(', in the batch')[0]
    assert re.findall(r'(\S+) is (?:inf|nan)', found) == [
        'assist0.loss_cls', 'assist0.loss_bbox',
    ]  # fmt: skip


class Given(SmallModel):
    """Losses that a test chooses."""

    def forward(self, inputs, data_samples=None, mode='tensor'):
        zero = self.layer.weight.sum() * 0
        return {k: torch.tensor(v) + zero for k, v in self.losses.items()}


def given(**losses):
    model = Given()
    model.losses = losses
    return model


def test_accumulation_and_mixed_precision():
    step = guarded(given(loss=1.0, loss_a=float('inf')), CpuAmpOptimWrapper)
    with pytest.raises(NonFiniteLossError, match='12: loss_a is inf, in'):
        step(dict(inputs=[]))
    model = given(loss_a=1.0)
    step = guarded(model, accumulative_counts=3)
    step(dict(inputs=[]))
    model.losses = dict(loss_a=float('nan'))
    with pytest.raises(NonFiniteLossError, match='batch of no images'):
        step(dict(inputs=[]))


def test_infinite_gradients_are_left_to_mixed_precision():
    model = given(loss_a=1.0)
    step = guarded(model)
    model.layer.weight.register_hook(lambda gradient: gradient + float('inf'))
    step(dict(inputs=[]))
    assert model.layer.weight.grad is None  # zeroed: the step was taken


def test_an_accuracy_may_be_nan():
    step = guarded(given(loss_a=1.0, acc=float('nan')))
    assert step(dict(inputs=[]))['acc'].isnan()


def test_a_sum_that_overflows():
    step = guarded(given(loss_a=3e38, loss_b=3e38))
    with pytest.raises(NonFiniteLossError, match='the sum of finite losses'):
        step(dict(inputs=[]))


def test_a_model_without_losses():
    model = given(acc=1.0)
    guarded(model)
    assert model.parse_losses(model.forward([]))[0] == 0


def test_compiled_steps():
    model = given(loss_a=1.0)
    guarded(model)

    @torch.compile(backend='eager')
    def total(loss):
        return model.parse_losses(dict(loss_a=loss * 2))[0]

    assert total(torch.tensor(1.0)) == 2
    with pytest.raises(NonFiniteLossError):
        total(torch.tensor(float('nan')))


def test_copies_of_the_model_share_the_guard():
    model = given(loss_a=1.0)
    guarded(model)
    assert copy.deepcopy(model).parse_losses is model.parse_losses


def test_afterwards_the_model_is_as_before():
    model = given(loss_a=1.0)
    guarded(model).stop()
    assert 'parse_losses' not in vars(model)


def test_a_run(tmp_path):
    runner = small_run(tmp_path)
    runner.train()
    assert 'parse_losses' not in vars(runner.model)


def test_images_of_nested_batches():
    samples = named_batch()['data_samples']
    nested = dict(
        inputs=dict(sup=[torch.ones(1)]),
        data_samples=dict(sup=samples[:1], unsup=(samples[1:],)),
    )
    assert list(image_names(nested)) == ['train/0.jpg', 'train/1.jpg']
    assert list(image_names(make_batch()['data_samples'])) == ['0', '1']


def process(rank, store, answers):
    dist.init_process_group(
        'gloo', init_method=f'file://{store}', rank=rank, world_size=2
    )
    model = given(loss_a=1.0)
    step = guarded(model)
    steps = 0
    try:
        for value in (1.0, float('nan') if rank else 1.0):
            model.losses = dict(loss_a=value)
            step(dict(inputs=[], data_samples=[sample_of(rank)]))
            steps += 1
    except NonFiniteLossError as error:
        answers.put((rank, steps, str(error)))
    dist.destroy_process_group()


def sample_of(rank):
    sample = make_batch((1,))['data_samples'][0]
    sample.set_metainfo(dict(img_path=f'{rank}.jpg'))
    return sample


def test_all_processes_stop(tmp_path):
    context = multiprocessing.get_context('fork')
    answers = context.Queue()
    processes = [
        context.Process(target=process, args=(i, tmp_path / 'store', answers))
        for i in range(2)
    ]
    for one in processes:
        one.start()
    for one in processes:
        one.join(60)
        assert one.exitcode == 0
    found = sorted(answers.get(timeout=10) for _ in processes)
    assert [answer[:2] for answer in found] == [(0, 1), (1, 1)]
    for _, _, message in found:
        assert 'iteration 12: loss_a is nan, in the batch of 1.jpg.' in message
