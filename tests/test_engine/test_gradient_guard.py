"""Under DDP, parameters that nothing reads are named before the next step.

1. The stage of an assistant that neither a connection nor a loss reads, also
   in a step that an assistant is left out of, and single parameters.
2. Where DDP looks for such parameters, where all have gradients, and in one
   process without DDP, nothing is said.
"""

from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from cbnet.engine import GradientGuardHook
from cbnet.engine.gradient_guard import check_gradients
from cbnet.testing import (
    build_model,
    make_batch,
    tiny_composite,
    tiny_detector,
)

NOBODY = 'nothing reads backbone.members.0.layer4, so no gradient reaches'


@pytest.fixture
def one_step(tmp_path):
    """Train a detector for one step in a group of one process."""
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{tmp_path}/store', rank=0, world_size=1
    )

    def one_step(
        style='slc', finds=False, wrap=True, several=False, **options
    ):
        cfg = tiny_detector('RetinaNet', tiny_composite(style=style))
        cfg.update(type='AssistedDetector', base='RetinaNet')
        model = build_model(dict(cfg, assistance=options))
        runner = SimpleNamespace(model=model)
        if wrap:
            runner.model = DistributedDataParallel(
                model, find_unused_parameters=finds
            )
        wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), 1e-4))
        runner.optim_wrapper = wrapper
        if several:
            runner.optim_wrapper = OptimWrapperDict(all=wrapper)
        hook = GradientGuardHook()
        hook.before_train(runner)
        batch = model.data_preprocessor(make_batch(), training=True)
        loss, _ = model.parse_losses(runner.model(**batch, mode='loss'))
        wrapper.update_params(loss)
        hook.after_train(runner)
        wrapper.optimizer.zero_grad()
        wrapper.step()  # the hook has left

    yield one_step
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize('several', [False, True])
def test_a_stage_that_nothing_reads(one_step, several):
    with pytest.raises(ValueError, match=NOBODY):
        one_step(weights=0, several=several)


def test_a_step_without_an_assistant(one_step):
    hub = MessageHub.get_instance('gradient guard')
    hub.update_info('iter', 0)
    one_step(every=2)
    hub.update_info('iter', 1)
    with pytest.raises(ValueError, match=NOBODY):
        one_step(every=2)


@pytest.mark.parametrize(
    'options',
    [
        dict(weights=0, finds=True),
        dict(weights=0, wrap=False),
        dict(weights=1),
        dict(weights=0, style='dhlc'),
    ],
)
def test_nothing_to_say(one_step, options):
    one_step(**options)


def test_parts_are_as_large_as_can_be():
    model = nn.Module()
    model.a = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1), nn.ReLU())
    model.b = nn.Linear(1, 1)
    model.frozen = nn.Linear(1, 1).requires_grad_(False)
    model.b.weight.grad = torch.zeros(1, 1)
    with pytest.raises(ValueError, match='nothing reads a, b.bias, so'):
        check_gradients(model)
    model.a[0].bias.grad = torch.zeros(1)
    message = r'nothing reads a.1, a.0.weight, b.bias, so'
    with pytest.raises(ValueError, match=message):
        check_gradients(model)
