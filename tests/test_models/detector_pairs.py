"""The plain and the assisted detector side by side, for several tests."""

import copy
from collections import deque
from pathlib import Path

import torch
from mmengine.config import Config, ConfigDict
from mmengine.model import BaseModule
from mmengine.registry import DefaultScope
from torch import nn

from cbnet.models.detectors import assisted
from cbnet.testing import (
    TINY_MEMBERS,
    build_model,
    make_batch,
    tiny_composite,
    tiny_detector,
)

BASES = ['FasterRCNN', 'MaskRCNN', 'CascadeRCNN', 'RetinaNet']
TWO_STAGE = BASES[:3]
CONFIGS = Path(__file__).parents[2] / 'configs'


def tiny_dual_swin_l():
    """The model of configs/cbnet/dual_swin_l.py, made tiny."""
    path = CONFIGS / 'cbnet/dual_swin_l.py'
    backbone = Config.fromfile(path).model.backbone.to_dict()
    backbone['member'] = TINY_MEMBERS['swin']
    return tiny_detector(path, backbone)


def make_pair(base, num_members=2, **options):
    """The plain and the assisted detector on one composite, same weights."""
    backbone = tiny_composite(num_members=num_members)
    return pair_of(tiny_detector(base, backbone), **options)


def pair_of(cfg, **options):
    """The plain and the assisted detector of one config, same weights."""
    plain = build_model(cfg)
    plain.init_weights()
    open_connections(plain)
    cfg = dict(
        cfg, type='AssistedDetector', base=cfg['type'], assistance=options
    )
    model = build_model(cfg)
    model.load_state_dict(plain.state_dict(), strict=True)
    return plain, model


def assisted_retinanet(cls, **options):
    """The assisted subclass of a subclass of RetinaNet."""
    with DefaultScope.overwrite_default_scope('mmdet'):
        cfg = ConfigDict(tiny_detector('RetinaNet', tiny_composite()))
        cfg.pop('type')
        return assisted(cls)(assistance=options, **cfg)


def open_connections(model):
    for name, p in model.backbone.connections.named_parameters():
        if 'norm' in name:
            nn.init.normal_(p, std=0.1)


def losses_of(model, batch=None, seed=0):
    batch = copy.deepcopy(batch or make_batch())
    batch = model.data_preprocessor(batch, training=True)
    model.train()
    if seed is not None:
        torch.manual_seed(seed)
    return model.loss(batch['inputs'], batch['data_samples'])


def memory_of(model):
    """What a detector remembers outside of its backbone."""
    others = vars(BaseModule()).keys() - {'_buffers', 'training'}
    return {
        f'{name}.{key}': numbers(value)
        for name, part in model.named_modules()
        if not {'backbone', 'data_preprocessor'} & set(name.split('.'))
        for key, value in vars(part).items()
        if key not in others
    }


def numbers(value, depth=0):
    """The numbers and strings in a value, down to objects in objects."""
    if hasattr(value, 'tolist'):  # a tensor or an array
        return None if getattr(value, 'requires_grad', 0) else value.tolist()
    if isinstance(value, nn.Module) or depth == 4:
        return type(value)
    if isinstance(value, dict):
        return {k: numbers(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple | set | deque):
        return [numbers(v, depth + 1) for v in value]
    if hasattr(value, '__dict__') and not callable(value):
        return numbers(vars(value), depth + 1)
    return type(value) if callable(value) else value


def assert_equal(found, expected):
    if isinstance(expected, list):
        for a, b in zip(found, expected, strict=True):
            assert torch.equal(a, b)
    else:
        assert torch.equal(found, expected)
