"""Hooked members under what trains and copies them.

1. activation checkpointing, also timm's own, changes no gradient;
2. copies and pickles are independent;
3. torch.compile, DDP and FSDP work.
"""

import copy
import pickle

import pytest
import torch
from torch import nn

from cbnet.models.members import adapt

from .hooked_members import (
    IMAGE,
    KINDS,
    VIT,
    composite,
    gradients,
    member_of,
)
from .staged_backbones import Stages


@pytest.fixture(params=KINDS)
def cfg(request):
    return member_of(request.param)


@pytest.mark.parametrize('shared_stages', [None, 1])
def test_timms_own_checkpointing_changes_no_gradient(cfg, shared_stages):
    model = composite(cfg, shared_stages=shared_stages).train()
    image = IMAGE[..., :128]
    plain = gradients(model, image)
    for member in model.members:
        member.model.set_grad_checkpointing()
    saved = gradients(model, image)
    for name, grad in plain.items():
        torch.testing.assert_close(saved[name], grad, msg=name)
    # ... also if two images are seen before the backward pass.
    losses = [
        sum(y.square().mean() for y in model(x)) for x in (image, 2 * image)
    ]
    model.zero_grad()
    sum(losses).backward()
    both = {n: p.grad.clone() for n, p in model.named_parameters()}
    for member in model.members:
        member.model.set_grad_checkpointing(False)
    model.zero_grad()
    for x in (image, 2 * image):
        sum(y.square().mean() for y in model(x)).backward()
    for name, p in model.named_parameters():
        torch.testing.assert_close(both[name], p.grad, msg=name)


def test_recomputation_from_within_is_an_error():
    """Where what was added is unknown, nothing wrong is computed silently."""

    class Outer(Stages):
        def forward(self, x):
            x = self.stem(x)
            return torch.utils.checkpoint.checkpoint(
                lambda x: self.run(x.sin()), x, use_reentrant=False
            )

        def run(self, x):
            maps = []
            for stage in self.stages:
                x = stage(x)
                maps.append(x)
                x = x.sin()
            return tuple(maps)

    with pytest.raises(TypeError, match='recomputes stages.0 from the middle'):
        adapt(Outer())


@pytest.mark.parametrize('shared_stages', [None, 1])
def test_copies_and_pickles_are_independent(cfg, shared_stages):
    model = composite(cfg, shared_stages=shared_stages).eval()
    image = IMAGE[..., :128]
    for twin in (
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),  # noqa: S301
    ):
        assert all(map(torch.equal, model(image), twin(image)))
        for p in twin.parameters():
            p.data.zero_()
        assert twin.adapters[0].backbone is twin.members[0]
        assert twin.adapters[0].channel is not model.adapters[0].channel
        assert not any(y.any() for y in twin.members[0](image))
        assert not torch.equal(model(image)[0], twin(image)[0])


@pytest.mark.parametrize('shared_stages', [None, 0])
def test_compiled(shared_stages):
    """Two layouts, two stages each; test_members.py compiles every kind."""
    model = composite(
        dict(VIT, depth=2, groups=2), shared_stages=shared_stages
    ).eval()
    image = IMAGE[..., :64, :96]
    expected = model(image)
    torch._dynamo.reset()
    compiled = torch.compile(model, backend='eager', fullgraph=True)
    for found, y in zip(compiled(image), expected, strict=True):
        torch.testing.assert_close(found, y)


@pytest.fixture
def process_group(tmp_path):
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{tmp_path}/store', rank=0, world_size=1
    )
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize('shared_stages', [None, 1])
def test_distributed_data_parallel(cfg, shared_stages, process_group):
    """Two steps: the second one waits for what the first one left."""
    model = composite(cfg, shared_stages=shared_stages).train()
    plain = gradients(model, IMAGE[..., :128])
    ddp = nn.parallel.DistributedDataParallel(model)
    for _ in range(2):
        model.zero_grad()
        pyramids = ddp(IMAGE[..., :128], all_members=True)
        sum(y.square().mean() for p in pyramids for y in p).backward()
    for name, p in model.named_parameters():
        torch.testing.assert_close(p.grad, plain[name], msg=name)


def test_fully_sharded_data_parallel(process_group):
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    model = composite(VIT, shared_stages=None).train()
    plain = gradients(model)
    mesh = init_device_mesh('cpu', (1,))
    for adapter in model.adapters:
        units = [n for piece in adapter.anatomy.units[1:] for n in piece]
        blocks = {f'blocks.{i}' for i in range(len(adapter.net.blocks))}
        assert blocks <= set(units)  # together, they are all stages
        for name in units:
            fully_shard(adapter.net.get_submodule(name), mesh=mesh)
    fully_shard(model, mesh=mesh)
    sum(
        y.square().mean() for p in model(IMAGE, all_members=True) for y in p
    ).backward()
    for name, p in model.named_parameters():
        torch.testing.assert_close(p.grad.full_tensor(), plain[name])
