"""The precision of a run on the device that it has.

- A config's float16 wrapper stays on a GPU, becomes bfloat16 on a CPU and
  float32 elsewhere, with one line that says so; options that only the
  float16 wrapper has are dropped; plain wrappers stay.  A scope before the
  type, and the class instead of its name, change nothing.
- --amp asks for mixed precision in any config, and is refused on devices
  that have none.
- The optimizer of a published config is built, and trains, on a CPU.
- On a CPU, layers compute in bfloat16 and the optimizer steps float32
  weights; the losses of a composite detector are close to those of full
  precision, and not equal; checkpoints can be exchanged with those of the
  plain wrapper.
"""

import copy
from pathlib import Path

import pytest
import torch
from mmdet.registry import OPTIM_WRAPPERS
from mmengine.config import Config
from mmengine.optim import AmpOptimWrapper, OptimWrapper, build_optim_wrapper
from mmengine.registry import DefaultScope

from cbnet.engine.mixed_precision import CpuAmpOptimWrapper, choose_precision
from cbnet.testing import (
    build_model,
    make_batch,
    tiny_composite,
    tiny_detector,
)

ROOT = Path(__file__).parents[2]
AMP = dict(
    type='AmpOptimWrapper', loss_scale=512.0, dtype='float16', use_fsdp=False
)
OPTIMIZER = dict(type='SGD', lr=0.1)


@pytest.fixture
def on(monkeypatch):
    """Choose for a pretended device; return the wrapper and the lines."""

    def choose(device, wrapper, wanted=False):
        monkeypatch.setattr('mmengine.device.get_device', lambda: device)
        cfg = Config(dict(optim_wrapper=dict(wrapper, optimizer=OPTIMIZER)))
        lines = choose_precision(cfg, wanted)
        found = cfg.optim_wrapper.to_dict()
        assert found.pop('optimizer') == OPTIMIZER
        return found, lines

    return choose


def test_float16_stays_on_a_gpu(on):
    assert on('cuda', AMP) == (AMP, [])


def test_bfloat16_on_a_cpu(on):
    said = 'precision: mixed, bfloat16 on cpu (the config has AmpOptimWrapper)'
    assert on('cpu', AMP) == (dict(type='CpuAmpOptimWrapper'), [said])


def test_float32_elsewhere(on):
    said = 'precision: float32 on mps (the config has AmpOptimWrapper)'
    assert on('mps', AMP) == (dict(type='OptimWrapper'), [said])


@pytest.mark.parametrize('kind', ['mmengine.{}', None])
def test_other_spellings_of_a_type(on, kind):
    amp, plain = (
        kind.format(one.__name__) if kind else one
        for one in (AmpOptimWrapper, OptimWrapper)
    )
    found = dict(type='CpuAmpOptimWrapper')
    assert on('cpu', dict(type=amp, loss_scale='dynamic'))[0] == found
    assert on('cpu', dict(type=plain), wanted=True)[0] == found


@pytest.mark.parametrize('kind', ['OptimWrapper', 'CpuAmpOptimWrapper', 'Own'])
@pytest.mark.parametrize('device', ['cuda', 'cpu', 'mps'])
def test_other_wrappers_stay(on, device, kind):
    wrapper = dict(type=kind, accumulative_counts=2)
    assert on(device, wrapper) == (wrapper, [])


def test_a_config_without_optimizer_stays():
    cfg = Config(dict(model=dict()))
    assert choose_precision(cfg) == []
    with pytest.raises(ValueError, match='--amp needs optim_wrapper'):
        choose_precision(cfg, wanted=True)


def test_amp_wanted(on):
    wrapper, _ = on('cuda', dict(type='OptimWrapper'), wanted=True)
    assert wrapper == dict(type='AmpOptimWrapper', loss_scale='dynamic')
    assert on('cuda', AMP, wanted=True) == (AMP, [])
    wrapper, lines = on('cpu', {}, wanted=True)
    assert wrapper == dict(type='CpuAmpOptimWrapper')
    assert lines == [
        'precision: mixed, bfloat16 on cpu (the config has OptimWrapper)'
    ]


@pytest.mark.parametrize(
    ('device', 'kind', 'message'),
    [
        ('cpu', 'Own', '--amp replaces OptimWrapper, but the config has Own'),
        ('mps', 'OptimWrapper', 'mmengine has no mixed precision on mps'),
    ],
)
def test_amp_refused(on, device, kind, message):
    with pytest.raises(ValueError, match=message):
        on(device, dict(type=kind), wanted=True)


def test_a_published_recipe_trains_on_a_cpu(monkeypatch):
    monkeypatch.setattr('mmengine.device.get_device', lambda: 'cpu')
    cfg = Config.fromfile(ROOT / 'configs/cbnet/dual_swin_b.py')
    assert cfg.optim_wrapper.type == 'AmpOptimWrapper'
    assert 'AmpOptimWrapper' in OPTIM_WRAPPERS
    choose_precision(cfg)
    model = torch.nn.Sequential()
    model.add_module('layer', torch.nn.Linear(2, 2))
    model.add_module('norm', torch.nn.LayerNorm(2))
    with DefaultScope.overwrite_default_scope('mmdet'):
        wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    assert type(wrapper) is CpuAmpOptimWrapper
    decays = [
        group['weight_decay'] for group in wrapper.optimizer.param_groups
    ]
    assert decays == [0.05, 0.05, 0.0, 0.0]
    before = model.layer.weight.detach().clone()
    with wrapper.optim_context(model):
        loss = model(torch.rand(1, 2)).float().square().sum()
    wrapper.update_params(loss)
    assert not torch.equal(before, model.layer.weight)


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
