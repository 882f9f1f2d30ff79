"""Faster members under what trains a model.

1. Two processes of DDP, without a search for unused parameters, take two
   steps of fast Swin members, and of compiled ones, and get the gradients
   and weights of one process that runs mmdet's own code on all images.
2. So do two processes that FSDP shares the weights among.
3. The average of EMA, and a deep copy after a step, compute what mmdet's own
   code computes with their weights.
"""

import copy

import torch
import torch.distributed as dist
from mmengine.model import ExponentialMovingAverage
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from cbnet.models.members.fast_swin import FastShiftWindowMSA
from cbnet.testing import TINY_MEMBERS, build_model, tiny_composite

from ..two_processes import run_in_two

SWIN = dict(
    TINY_MEMBERS['swin'],
    depths=(2, 1),
    num_heads=(1, 2),
    strides=(4, 2),
    out_indices=(0, 1),
    drop_path_rate=0.0,
)
CFG = dict(tiny_composite(), member=SWIN)
FASTER = {
    'fast': dict(fast=True),
    'fast and compiled': dict(fast=True, compile=dict(backend='eager')),
}
#: shifted windows and padding in the first stages
IMAGES = torch.randn(2, 3, 36, 44, generator=torch.Generator().manual_seed(3))
STEPS = 2


def built(**options):
    model = build_model(dict(CFG, **options))
    generator = torch.Generator().manual_seed(1)
    for p in model.parameters():
        p.data = torch.randn(p.shape, generator=generator) * 0.2
    return model.train()


def train(model, call, images):
    """Take steps; give the gradients of each, and the weights after them."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    found = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        pyramids = call(images, all_members=True)
        sum(y.square().mean() for maps in pyramids for y in maps).backward()
        found.append({n: whole(p.grad) for n, p in model.named_parameters()})
        optimizer.step()
    return [*found, {n: whole(p) for n, p in model.named_parameters()}]


def whole(x):
    x = x.full_tensor() if hasattr(x, 'full_tensor') else x
    return x.detach().clone()


def assert_same(found, expected):
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.keys() == theirs.keys()
        for name, value in theirs.items():
            largest = max(value.abs().max().item(), 1e-6)
            torch.testing.assert_close(
                ours[name], value, rtol=0, atol=1e-4 * largest, msg=name
            )


def process(rank, port):
    torch.set_num_threads(1)
    model = built(fast=False)
    expected = train(model, model, IMAGES)
    assert all(gradient.any() for gradient in expected[0].values())
    address = f'tcp://127.0.0.1:{port}'
    dist.init_process_group(
        'gloo', init_method=address, rank=rank, world_size=2
    )
    mine = IMAGES[rank : rank + 1]
    for options in FASTER.values():
        model = built(**options)
        ddp = DistributedDataParallel(model, find_unused_parameters=False)
        assert_same(train(model, ddp, mine), expected)
    model = built(fast=True)
    mesh = init_device_mesh('cpu', (2,))
    for member in model.members:
        for stage in member.stages:
            for block in stage.blocks:
                fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)
    blocks = [m for m in model.modules() if isinstance(m, FastShiftWindowMSA)]
    assert len(blocks) == 2 * sum(SWIN['depths'])
    assert_same(train(model, model, mine), expected)
    dist.destroy_process_group()


def test_two_processes():
    run_in_two(process)


def test_averages_and_copies_after_steps():
    model = built(fast=True)
    average = ExponentialMovingAverage(model, momentum=0.3)
    train(model, model, IMAGES[:1])
    average.update_parameters(model)
    copied = copy.deepcopy(model)
    with torch.no_grad():
        for p in model.parameters():  # the copies have weights of their own
            p.zero_()
        for one in (average.module, copied):
            plain = built(fast=False)
            plain.load_state_dict(one.state_dict())
            maps = [net.eval()(IMAGES) for net in (plain, one)]
            for a, b in zip(*maps, strict=True):
                torch.testing.assert_close(b, a, rtol=0, atol=1e-4)
