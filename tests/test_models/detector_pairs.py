"""The plain and the assisted detector side by side, for several tests."""

import copy

import torch
from torch import nn

from cbnet.testing import (
    build_model,
    make_batch,
    tiny_composite,
    tiny_detector,
)

BASES = ['FasterRCNN', 'MaskRCNN', 'CascadeRCNN', 'RetinaNet']
TWO_STAGE = BASES[:3]


def make_pair(base, num_members=2, **options):
    """The plain and the assisted detector on one composite, same weights."""
    backbone = tiny_composite(num_members=num_members)
    cfg = tiny_detector(base, backbone)
    plain = build_model(cfg)
    plain.init_weights()
    open_connections(plain)
    cfg.update(type='AssistedDetector', base=base, assistance=options)
    model = build_model(cfg)
    model.load_state_dict(plain.state_dict(), strict=True)
    return plain, model


def open_connections(model):
    for name, p in model.backbone.connections.named_parameters():
        if 'norm' in name:
            nn.init.normal_(p, std=0.1)


def losses_of(model, batch=None, seed=0):
    batch = copy.deepcopy(batch or make_batch())
    batch = model.data_preprocessor(batch, training=True)
    model.train()
    torch.manual_seed(seed)
    return model.loss(batch['inputs'], batch['data_samples'])


def assert_equal(found, expected):
    if isinstance(expected, list):
        for a, b in zip(found, expected, strict=True):
            assert torch.equal(a, b)
    else:
        assert torch.equal(found, expected)
