"""The synchronised norms of the large box heads, without GPUs.

- one process: mmengine's runner gives them the statistics of the process's
  images; a published head trains so, with the names that checkpoints have;
- joined CPU processes: torch refuses such a model, the wrapper takes it: the
  same weights under the same names, and it trains.
"""

from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.model import MMDistributedDataParallel, is_model_wrapper
from mmengine.registry import MODEL_WRAPPERS, DefaultScope
from mmengine.runner import Runner
from torch import nn

from cbnet.engine.launch import CpuDataParallel

CFG = Config(
    dict(
        head=dict(
            type='ConvFCBBoxHead',
            in_channels=4,
            num_shared_convs=2,
            num_shared_fcs=1,
            conv_out_channels=4,
            fc_out_channels=4,
            num_classes=2,
            norm_cfg=dict(type='SyncBN', requires_grad=True),
        )
    )
)


@pytest.fixture
def head():
    with DefaultScope.overwrite_default_scope('mmdet'):
        return MODELS.build(CFG.head).train()


@pytest.fixture
def joined(tmp_path):
    """A process group of this process alone."""
    dist.init_process_group(
        'gloo', init_method=f'file://{tmp_path}/join', rank=0, world_size=1
    )
    yield
    dist.destroy_process_group()


def synchronised(model):
    return [m for m in model.modules() if isinstance(m, nn.SyncBatchNorm)]


def trains(model, head):
    """Tell that a step moves every norm, weights and statistics."""
    norms = [conv.bn for conv in head.shared_convs]
    before = [norm.running_mean.clone() for norm in norms]
    scores, boxes = model(torch.rand(3, 4, 7, 7))
    (scores.square().sum() + boxes.square().sum()).backward()
    return all(
        norm.weight.grad.abs().sum() > 0
        and not torch.equal(norm.running_mean, mean)
        for norm, mean in zip(norms, before, strict=True)
    )


def test_one_process_by_the_runner(head):
    assert len(synchronised(head)) == 2
    names = list(head.state_dict())
    runner = SimpleNamespace(
        distributed=False, logger=MMLogger.get_instance('one_process')
    )
    wrapped = Runner.wrap_model(runner, None, head)
    assert not synchronised(wrapped)
    assert list(wrapped.state_dict()) == names
    assert trains(wrapped, wrapped)


def test_joined_processes(head, joined):
    with pytest.raises(ValueError, match='only work with GPU modules'):
        MMDistributedDataParallel(head)
    state = {name: value.clone() for name, value in head.state_dict().items()}
    held = list(head.parameters())
    # As the runner does: found in mmengine's registry, built in the scope.
    assert MODEL_WRAPPERS.get('CpuDataParallel') is CpuDataParallel
    with DefaultScope.overwrite_default_scope('mmdet'):
        wrapped = MODEL_WRAPPERS.build(
            dict(type='CpuDataParallel', module=head, device_ids=None)
        )
    assert type(wrapped) is CpuDataParallel and is_model_wrapper(wrapped)
    assert not synchronised(wrapped)
    assert list(wrapped.module.state_dict()) == list(state)
    for name, value in wrapped.module.state_dict().items():
        torch.testing.assert_close(value, state[name], rtol=0, atol=0)
    assert all(
        one is other
        for one, other in zip(held, wrapped.parameters(), strict=True)
    )
    assert trains(wrapped, wrapped.module)
