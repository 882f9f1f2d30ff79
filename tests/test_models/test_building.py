"""Models on the meta device: no memory, but the rates of drop path."""

import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from torch import nn

from cbnet.models.building import build_without_weights, on_meta
from cbnet.testing import TINY_MEMBERS, build_model, tiny_composite


def test_a_swin_composite_builds_with_its_rates():
    cfg = tiny_composite('swin')
    cfg['member']['drop_path_rate'] = 0.3
    with on_meta():
        model = build_model(cfg)
        assert torch.zeros(1).is_meta
    assert all(p.is_meta for p in model.parameters())
    last = model.members[1].stages[-1].blocks[-1]
    assert abs(last.ffn.dropout_layer.drop_prob - 0.3) < 1e-6
    assert not torch.zeros(1).is_meta
    real = build_model(cfg)
    shapes = {k: v.shape for k, v in model.state_dict().items()}
    assert shapes == {k: v.shape for k, v in real.state_dict().items()}


def test_every_tiny_member_builds():
    for cfg in TINY_MEMBERS.values():
        with on_meta():
            member = build_model(cfg)
        assert all(p.is_meta for p in member.parameters())


@MODELS.register_module()
class Transformers(nn.Module):
    """Refuses a default device, as transformers' ``from_pretrained`` does."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)
        if self.layer.weight.is_meta:
            raise ValueError(
                'Using a `device_map`, `tp_plan`, `torch.device` context '
                'manager requires `accelerate`.'
            )


def test_what_refuses_the_meta_device_is_built_in_memory():
    cfg = Config(dict(model=dict(type='Transformers')))
    assert not build_without_weights(cfg).layer.weight.is_meta
