"""Heads with a memory: what the lead learns from is the lead's alone.

1. Over five steps, the lead's losses and everything that a detector remembers
   outside of its backbone are those of the plain detector, whose heads keep
   histories (Dynamic R-CNN), counts (DDOD, Seesaw), densities (GHM) or
   gradients (EQLv2), or draw random numbers.
2. Whatever an attribute is, what the block does to it is taken back, in the
   object itself; what several attributes share stays shared; a failed pass
   leaves no trace, either.
3. What belongs to the lead's graph can still be differentiated.
"""

import copy
import random
from collections import OrderedDict, deque, namedtuple
from contextlib import nullcontext, suppress

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from torch import nn

from cbnet.config_files import find_config
from cbnet.models.detectors.memory import STATISTICS, kept_memory
from cbnet.testing import make_batch, tiny_composite, tiny_detector

from .detector_pairs import assert_equal, losses_of, memory_of, pair_of


def dynamic(model):
    model.train_cfg.rcnn.dynamic_rcnn.update_iter_interval = 2


def ddod(model):
    model.bbox_head.norm_cfg = dict(type='GN', num_groups=4)


def seesaw(model):
    for name in ('bbox_head', 'mask_head'):
        model.roi_head[name].num_classes = 3
    model.roi_head.bbox_head.loss_cls.num_classes = 3


def eqlv2(model):
    loss = dict(type='EQLV2Loss', num_classes=3)
    model.roi_head.bbox_head.loss_cls = loss


MEMORIES = {
    'dynamic': ('dynamic_rcnn/dynamic-rcnn_r50_fpn_1x_coco.py', dynamic),
    'ddod': ('ddod/ddod_r50_fpn_1x_coco.py', ddod),
    'seesaw': (
        'seesaw_loss/mask-rcnn_r50_fpn_seesaw-loss_random-ms-2x_lvis-v1.py',
        seesaw,
    ),
    'ghm': ('ghm/retinanet_r50_fpn_ghm-1x_coco.py', None),
    'eqlv2': ('faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py', eqlv2),
    'random': ('faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py', None),
}


def remembering(name):
    """The plain and the assisted detector of a case."""
    file, change = MEMORIES[name]
    model = tiny_detector(find_config(f'mmdet::{file}'), tiny_composite())
    model = ConfigDict(model)
    if change is not None:
        change(model)
    return pair_of(model)


@pytest.mark.parametrize('name', MEMORIES)
def test_the_lead_remembers_what_the_plain_detector_does(name):
    plain, model = remembering(name)
    runs = []
    for detector in (plain, model):
        torch.manual_seed(0)
        run = []
        for step in range(5):
            batch = make_batch((3, 4), size=(128, 128), seed=step)
            run.append(losses_of(detector, batch, seed=None))
        runs.append(run)
    for step, (expected, found) in enumerate(zip(*runs, strict=True)):
        assert any(key.startswith('assist0.') for key in found)
        for key, value in expected.items():
            assert_equal(found[key], value), (step, key)
    found = memory_of(model)
    for place, expected in memory_of(plain).items():
        assert found.pop(place) == expected, place
    assert all('.' not in place[1:] for place in found)  # the mixin's own


Pair = namedtuple('Pair', 'first second')


class Helper:
    def __init__(self):
        self.threshold = 0.5


class Remembers(nn.Module):
    """Remembers in every kind of attribute."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.BatchNorm1d(2)
        self.register_buffer('count', torch.zeros(3))
        self.register_buffer('replaced', torch.zeros(3))
        self.norm = nn.BatchNorm1d(2, momentum=None)
        self.tensor = torch.zeros(3)
        self.alias = self.tensor
        self.array = np.zeros(3)
        self.number = 1
        self.history, self.queue = [1.0], deque([1.0], maxlen=2)
        self.names, self.nested = {'a'}, {'a': [dict(b=1)]}
        self.ordered = OrderedDict(a=1, b=2)
        self.config = ConfigDict(a=dict(b=1))
        self.pair = Pair(torch.zeros(3), [1])
        self.helper, self.gone = Helper(), 'here'
        self.generators = [
            torch.Generator().manual_seed(0),
            np.random.default_rng(0),
            np.random.RandomState(0),
            random.Random(0),
        ]
        self.unregistered = [nn.BatchNorm1d(2)]
        self.itself = self.history
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self):
        self.count += 1
        self.replaced = self.count + 1
        for norm in (self.norm, *self.unregistered):
            norm(torch.randn(4, 2))
        self.tensor += 1
        assert self.alias is self.tensor
        self.array += 1
        self.number += 1
        self.history.append(2.0)
        self.queue.append(2.0)
        self.queue.append(3.0)
        self.names.add('b')
        self.nested['a'][0]['b'] += 1
        self.ordered.move_to_end('a')
        self.config.a.b = self.config.c = 2
        self.pair.first.add_(1)
        self.pair.second.append(2)
        self.helper.threshold = self.helper.new = 0.7
        del self.gone
        self.new = [1]
        self.history = []
        torch.rand(2), np.random.rand(2), random.random()
        self.generators[0].seed()
        self.generators[1].random(), self.generators[2].rand()
        self.generators[3].random()


def identities(value):
    return {name: id(part) for name, part in vars(value).items()}


@pytest.mark.parametrize('fails', [False, True])
def test_every_kind_of_memory(fails):
    model = Remembers()
    draws = [
        lambda: torch.rand(1).item(),
        lambda: np.random.rand(),
        random.random,
        lambda: torch.rand(1, generator=model.generators[0]).item(),
        model.generators[1].random,
        model.generators[2].rand,
        model.generators[3].random,
    ]
    copied = copy.deepcopy(model)
    streams = torch.get_rng_state(), np.random.get_state(), random.getstate()
    expected = [draw() for draw in draws]
    torch.set_rng_state(streams[0])
    np.random.set_state(streams[1])
    random.setstate(streams[2])
    model.generators[:] = copied.generators
    draws[4:] = [
        g.random if hasattr(g, 'random') else g.rand
        for g in model.generators[1:]
    ]
    before, same = memory_of(copied), identities(model)
    with suppress(KeyError), kept_memory(model):
        model()
        assert memory_of(model) != before
        if fails:
            raise KeyError
    found = memory_of(model)
    assert found == before
    assert list(model.ordered) == ['a', 'b']
    assert identities(model) == same
    assert model.itself is model.history and model.alias is model.tensor
    assert [draw() for draw in draws] == expected


def test_statistics_may_be_left_to_all():
    model = Remembers()
    with kept_memory(model, STATISTICS):
        model()
    assert model.norm.num_batches_tracked == 1
    assert model.norm.running_mean.any()
    assert not model.count.any()


def test_what_the_lead_computed_can_be_differentiated():
    """Written to in the block, its buffers would spoil the backward pass."""
    model = Remembers()
    loss = (model.weight * (model.count + 1)).sum()
    model.last = model.weight * 2
    with kept_memory(model):
        (model.weight * model.count.add_(5)).sum().backward()
        assert model.last.requires_grad
    loss.backward()
    assert model.weight.grad.tolist() == [6.0] * 3


def test_the_generator_of_the_device_in_use(monkeypatch):
    """Seen from a machine without one."""
    forked = []
    monkeypatch.setattr(torch.cuda, 'is_initialized', lambda: True)
    monkeypatch.setattr(torch.cuda, 'current_device', lambda: 3)
    monkeypatch.setattr(
        torch.random,
        'fork_rng',
        lambda devices: nullcontext(forked.append(devices)),
    )
    with kept_memory(Remembers()):
        pass
    assert forked == [[3]]


def test_under_autocast():
    plain, model = remembering('eqlv2')
    with torch.autocast('cpu', dtype=torch.bfloat16):
        expected, found = losses_of(plain), losses_of(model)
    for name, value in expected.items():
        assert_equal(found[name], value)
    model.parse_losses(found)[0].backward()
