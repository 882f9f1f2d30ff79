"""Mixed precision on a CPU.

- layers compute in bfloat16, the optimizer steps float32 weights;
- a composite detector's losses are near those of full precision, and not
  equal to them;
- its checkpoints and those of the plain wrapper load into each other.
"""

import copy

import pytest
import torch
from mmdet.registry import OPTIM_WRAPPERS
from mmengine.optim import OptimWrapper

from cbnet.engine.mixed_precision import CpuAmpOptimWrapper
from cbnet.testing import (
    build_model,
    make_batch,
    tiny_composite,
    tiny_detector,
)


def wrap(kind, model):
    return kind(torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9))


def test_layers_compute_in_bfloat16():
    model = torch.nn.Linear(3, 3)
    wrapper = wrap(CpuAmpOptimWrapper, model)
    before = model.weight.detach().clone()
    with wrapper.optim_context(model):
        output = model(torch.ones(1, 3))
    assert output.dtype == torch.bfloat16
    wrapper.update_params(output.float().sum())
    assert model.weight.dtype == torch.float32
    torch.testing.assert_close(before - model.weight, torch.full((3, 3), 0.1))
    assert OPTIM_WRAPPERS.get('CpuAmpOptimWrapper') is CpuAmpOptimWrapper


def test_losses_stay_near_full_precision():
    cfg = tiny_detector('MaskRCNN', tiny_composite())
    cfg.update(
        type='AssistedDetector',
        base='MaskRCNN',
        assistance=dict(weights=[0.5]),
    )
    plain = build_model(cfg)
    losses = []
    for kind in (OptimWrapper, CpuAmpOptimWrapper):
        model = copy.deepcopy(plain).train()
        torch.manual_seed(0)
        losses.append(model.train_step(make_batch(), wrap(kind, model)))
        assert all(p.isfinite().all() for p in model.parameters())
    full, mixed = losses
    assert full.keys() == mixed.keys()
    for name in ('loss_rpn_cls', 'loss_cls', 'assist0.loss_cls'):
        assert mixed[name] != full[name]
        torch.testing.assert_close(mixed[name], full[name], rtol=0.05, atol=0)


@pytest.mark.parametrize(
    ('source', 'target'),
    [(OptimWrapper, CpuAmpOptimWrapper), (CpuAmpOptimWrapper, OptimWrapper)],
)
def test_checkpoints_are_interchangeable(source, target):
    model = torch.nn.Linear(3, 1)
    saved = wrap(source, model)
    saved.update_params(model(torch.ones(1, 3)).sum())
    loaded = wrap(target, model)
    loaded.load_state_dict(saved.state_dict())
    found = loaded.optimizer.state_dict()['state'][0]['momentum_buffer']
    torch.testing.assert_close(found, torch.ones(1, 3))
