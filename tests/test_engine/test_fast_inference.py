"""The hook that folds norms around evaluations.

Norms are folded while batches are evaluated, after averaged weights have
taken the place of the trained ones, and never while a run trains, saves or
exchanges weights; a run with the hook trains as one without it.  Where a
validation fails, what is saved are the weights that were trained.
"""

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from torch import nn

from .small_run import SmallModel, equal, small_loader, small_run, state


@MODELS.register_module(force=True)
class SmallConvolution(SmallModel):
    """A convolution and its norm; remembers the norms of evaluations."""

    def __init__(self):
        BaseModel.__init__(self)
        self.block = nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2))
        self.kinds, self.sums = [], []

    def forward(self, inputs, data_samples=None, mode='tensor'):
        y = self.block(torch.stack(inputs)[..., None, None])
        if mode == 'predict':
            self.kinds.append(type(self.block[1]))
            self.sums.append(y.abs().sum().item())
            return data_samples
        return {'loss_a': (y - 1).square().mean()}


class Watch(Hook):
    """Remembers the norm at the ends of evaluations and iterations."""

    priority = 'VERY_LOW'

    def __init__(self):
        self.kinds = []

    def see(self, runner, *args, **kwargs):
        self.kinds.append(type(runner.model.block[1]))

    after_train_iter = before_val_epoch = after_val_epoch = see
    before_test_epoch = after_test_epoch = see


@MODELS.register_module(force=True)
class FailingConvolution(SmallConvolution):
    """Fails in the second batch of a validation."""

    def forward(self, inputs, data_samples=None, mode='tensor'):
        if len(self.kinds) == 1 and mode == 'predict':
            raise RuntimeError('no more memory')
        return super().forward(inputs, data_samples, mode)


def run(folder, hooks):
    loader = small_loader('DefaultSampler')
    evaluator = dict(type='DumpResults', out_file_path=str(folder / 'x.pkl'))
    runner = small_run(
        folder,
        steps=4,
        model=dict(type='SmallConvolution'),
        train_cfg=dict(val_interval=2),
        custom_hooks=[dict(type='EMAHook', momentum=0.5), *hooks],
        val_dataloader=loader,
        val_evaluator=evaluator,
        val_cfg=dict(),
        test_dataloader=loader,
        test_evaluator=evaluator,
        test_cfg=dict(),
    )
    watch = Watch()
    runner.register_hook(watch)
    runner.train()
    runner.test()
    return runner.model, watch


def test_only_while_batches_are_evaluated(tmp_path):
    plain, _ = run(tmp_path / 'plain', [])
    model, watch = run(tmp_path / 'folded', [dict(type='FoldedNormsHook')])
    assert set(watch.kinds) == {nn.BatchNorm2d} and len(watch.kinds) == 10
    # Two validations and a test, of four batches each.
    assert plain.kinds == [nn.BatchNorm2d] * 12
    assert model.kinds == [nn.Identity] * 12
    torch.testing.assert_close(
        torch.tensor(model.sums), torch.tensor(plain.sums)
    )
    for step in (2, 4):
        name = f'iter_{step}.pth'
        assert equal(
            *(state(tmp_path / d / name) for d in ('plain', 'folded'))
        )
    assert equal(model.state_dict(), plain.state_dict())


def test_a_validation_that_fails(tmp_path):
    loader = small_loader('DefaultSampler')
    runner = small_run(
        tmp_path,
        steps=4,
        model=dict(type='FailingConvolution'),
        train_cfg=dict(val_interval=3),
        custom_hooks=[dict(type='FoldedNormsHook')],
        val_dataloader=loader,
        val_evaluator=dict(
            type='DumpResults', out_file_path=str(tmp_path / 'x.pkl')
        ),
        val_cfg=dict(),
    )
    with pytest.raises(RuntimeError, match='no more memory'):
        runner.train()
    assert runner.model.kinds == [nn.Identity]
    weights, _ = state(tmp_path / 'stopped_iter_3.pth')
    assert weights.keys() == SmallConvolution().state_dict().keys()
