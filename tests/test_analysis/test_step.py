"""What a training step keeps.

1. Activations are counted once each, weights are not, and the weights stay.
2. What the connections of hooked members keep is counted.
3. A detector may ask for the step: it is the first of a training, in which
   all assistants are supervised, and nothing of it stays.
"""

from collections import OrderedDict

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.model import BaseDataPreprocessor, BaseModel
from torch import nn

from cbnet.analysis.complexity.step import measure_step
from cbnet.testing import (
    TINY_MEMBERS,
    build_model,
    make_batch,
    tiny_composite,
    tiny_detector,
)


class Two(BaseModel):
    """Two convolutions with a ReLU between them."""

    def __init__(self):
        super().__init__(BaseDataPreprocessor())
        self.net = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 1)
        )

    def forward(self, inputs, mode):
        return dict(loss=self.net(inputs).sum())


def test_each_activation_is_counted_once():
    model = Two()
    before = [p.clone() for p in model.parameters()]
    step = measure_step(model, dict(inputs=torch.rand(2, 3, 8, 8)), 2)
    assert step.kept == 4 * 2 * 64 * (3 + 4)  # the image and the ReLU's map
    assert step.seconds > 0
    pairs = zip(before, model.parameters(), strict=True)
    assert all(torch.equal(a, b) and b.grad is None for a, b in pairs)


def test_connections_of_hooked_members():
    def kept(scale):
        backbone = tiny_composite(['timm_vit', 'resnet'], shared_stages=None)
        backbone['member'] = [
            dict(
                type='Member',
                backbone=TINY_MEMBERS['timm_vit'],
                frozen=True,
                scale=scale,
            ),
            TINY_MEMBERS['timm_convnext'],
        ]
        model = tiny_detector('RetinaNet', backbone)
        channels = build_model(TINY_MEMBERS['timm_convnext']).specs
        model['neck']['in_channels'] = [s.out_channels for s in channels]
        torch.manual_seed(0)
        batch = make_batch(size=(64, 96))
        return measure_step(build_model(model), batch, 0).kept

    assert kept(1.0) > kept(0.5)


@pytest.mark.parametrize('before', [{}, dict(iter=7, max_iters=9)])
def test_a_detector_that_asks_for_the_step(before, monkeypatch):
    monkeypatch.setattr(MessageHub, '_instance_dict', OrderedDict())
    hub = MessageHub.get_current_instance()
    hub.update_info_dict(before)

    def kept(**assistance):
        model = tiny_detector('FasterRCNN', tiny_composite('resnet'))
        model |= dict(
            type='AssistedDetector', base='FasterRCNN', assistance=assistance
        )
        torch.manual_seed(0)
        return measure_step(build_model(model), make_batch(), 1).kept

    always = kept()
    assert kept(schedule='linear') == kept(every=2) == always > kept(weights=0)
    assert {k: hub.get_info(k) for k in before} == before
    assert (hub.get_info('iter') is None) == (not before)
