"""The levers of a candidate, and the peak of its memory.

- ``fast=True`` folds norms and lays out maps as channels last, with the same
  maps up to rounding; a training step keeps its norms;
- a peak is what is held at a time, not what was allocated in all, and not
  what was there before.
"""

import pytest
import torch
from mmengine.config import Config
from torch import nn

from cbnet.analysis.benchmark.candidates import Setting, make_candidate
from cbnet.analysis.benchmark.comparing import peak_memory
from cbnet.analysis.benchmark.memory import peak_of
from cbnet.testing import tiny_composite, tiny_detector

MODEL = tiny_detector('RetinaNet', tiny_composite('resnet'))


def candidate(train=False, known=(), **levers):
    setting = Setting((64, 96), train=train, only='backbone')
    cfg = Config(dict(model=MODEL, **levers))
    return make_candidate('one', cfg, setting, known)


def test_folded_and_channels_last():
    plain = candidate()
    weights = [plain.detector.state_dict()]
    for levers in (dict(fast=True), dict(channels_last=True)):
        one = candidate(known=weights, **levers)
        norms = [
            m
            for m in one.detector.backbone.modules()
            if isinstance(m, nn.BatchNorm2d)
        ]
        assert bool(norms) != ('fast' in levers)
        for a, b in zip(plain.outputs(), one.outputs(), strict=True):
            assert b.is_contiguous(memory_format=torch.channels_last)
            torch.testing.assert_close(b, a, rtol=1e-4, atol=1e-4)


def test_training_keeps_its_norms():
    one = candidate(train=True, fast=True)
    modules = one.detector.backbone.modules()
    assert any(isinstance(m, nn.BatchNorm2d) for m in modules)


def test_the_peak_is_what_is_held_at_a_time():
    megabyte, held = 2**18, []

    def call():
        for _ in range(4):
            held[:] = [torch.zeros(megabyte), torch.zeros(megabyte)]
        held.clear()

    before = torch.zeros(8 * megabyte)
    found = peak_of(call, torch.device('cpu')) / 2**20
    # The new pair is there before the old one goes.
    assert found == pytest.approx(4, rel=0.01) and before.any() == 0


def test_weights_and_what_training_keeps_count():
    inference, training = candidate(), candidate(train=True)
    weights = inference.detector.state_dict().values()
    own = sum(w.numel() * w.element_size() for w in weights)
    assert own < peak_memory(inference) < peak_memory(training)
