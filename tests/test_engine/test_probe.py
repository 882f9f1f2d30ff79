"""What a detector computes from the fixed image, in a few numbers.

1. the image is the same everywhere;
2. detectors of every kind have outputs of every member, the neck and the
   heads: two-stage, cascades, one-stage, DETR; a plain backbone too;
3. another number of threads, other kernels, another memory format and
   float64 stay far below the tolerance;
4. what cannot be computed from an image alone, is not finite, or depends on
   chance, is told and not recorded.
"""

import copy
import hashlib

import pytest
import torch
from torch import nn

from cbnet.engine import probe
from cbnet.engine.probe import (
    TOLERANCE,
    distance,
    fixed_image,
    record_outputs,
    run_probe,
)
from cbnet.testing import TINY_MEMBERS, build_model, tiny_detector
from cbnet.testing.tiny import BASES
from tests.test_compat.tiny_detectors import (
    build,
    load,
)

from .mutated_files import detector_config, seeded


def test_the_image():
    image = fixed_image()
    assert image.shape == (3, 157, 221) and image.dtype == torch.uint8
    found = hashlib.sha256(image.numpy().tobytes()).hexdigest()[:16]
    assert found == '2b3e5b501d517e56'
    assert image.unique().numel() == 256


PARTS = {
    'FasterRCNN': ('rpn_head.1.4', 'roi_head.1'),
    'MaskRCNN': ('rpn_head.1.4', 'roi_head.2'),
    'CascadeRCNN': ('rpn_head.1.4', 'roi_head.2.0'),
    'RetinaNet': ('head.0.0', 'head.1.4'),
    'HybridTaskCascade': ('rpn_head.1.4', 'roi_head.2.0'),
}


def numbers(outputs):
    assert all(isinstance(values, list) for values in outputs.values())
    return outputs


@pytest.mark.parametrize('base', BASES)
def test_parts(base):
    model = seeded(build_model(detector_config(base, 'resnet', num_members=3)))
    found = numbers(record_outputs(model.train()))
    assert not model.training
    for name in ('member.0.0', 'member.2.3', 'neck.0', 'neck.4', *PARTS[base]):
        assert name in found and len(found[name]) == 6
        assert found[name][0] > 0
    assert list(found)[0] == 'member.0.0'
    assert found == record_outputs(model)


def test_a_plain_detector():
    found = numbers(record_outputs(seeded(build_model(tiny_detector()))))
    assert 'backbone.3' in found and 'roi_head.2' in found


DETRS = {
    'detr': 'detr/detr_r50_8xb2-150e_coco.py',
    'deformable': 'deformable_detr/deformable-detr_r50_16xb2-50e_coco.py',
    'dino': 'dino/dino-4scale_r50_8xb2-12e_coco.py',
}


@pytest.mark.parametrize('name', DETRS)
def test_detection_transformers(name):
    cfg = load(DETRS[name])
    layers = dict(num_layers=1)
    cfg.encoder.update(layers)
    cfg.decoder.update(layers)
    cfg.backbone.update(init_cfg=None, depth=18, base_channels=8)
    indices = cfg.backbone.out_indices
    cfg.neck.in_channels = [8 * 2**i for i in indices]
    cfg.num_queries = 20
    model = build(cfg)
    found = record_outputs(seeded(model))
    heads = {k: v for k, v in found.items() if k.startswith('head')}
    assert heads and all(isinstance(values, list) for values in heads.values())


@pytest.mark.parametrize('base', ['MaskRCNN', 'RetinaNet'])
@pytest.mark.parametrize('member', ['resnet_bottleneck', 'swin'])
def test_other_arithmetic(base, member, monkeypatch):
    model = seeded(build_model(detector_config(base, member)))
    recorded = numbers(record_outputs(model))

    def furthest(other):
        found = run_probe(other)
        assert found.keys() == recorded.keys()
        return max(distance(found[n], recorded[n]) for n in recorded)

    torch.set_num_threads(2)
    try:
        apart = [furthest(model)]
    finally:
        torch.set_num_threads(1)
    with torch.backends.mkldnn.flags(enabled=False):
        apart.append(furthest(model))
    wide = copy.deepcopy(model).to(memory_format=torch.channels_last)
    apart.append(furthest(wide))
    prepare = probe._prepare
    boxes = probe._fixed_boxes().double()
    monkeypatch.setattr(probe, '_fixed_boxes', lambda: boxes)
    monkeypatch.setattr(
        probe, '_prepare', lambda *a: (prepare(*a)[0].double(), prepare(*a)[1])
    )
    torch.set_default_dtype(torch.float64)
    try:
        apart.append(furthest(copy.deepcopy(model).double()))
    finally:
        torch.set_default_dtype(torch.float32)
    assert 0 < max(apart) < TOLERANCE / 10


def test_proposals_that_are_learnt():
    """Sparse R-CNN's RoI heads need the features of its own proposals."""
    cfg = load('sparse_rcnn/sparse-rcnn_r50_fpn_1x_coco.py')
    cfg.backbone.update(init_cfg=None, depth=18, base_channels=8)
    cfg.neck.in_channels = [8, 16, 32, 64]
    found = record_outputs(seeded(build(cfg)))
    assert isinstance(found['neck.0'], list)
    for name in ('rpn_head', 'roi_head'):
        assert found[name].startswith('it cannot be computed from an image')


class Noise(nn.Module):
    def forward(self, x):
        return tuple(y + torch.rand(()) for y in x)


class Broken(nn.Module):
    def forward(self, x):
        return tuple(y * float('nan') for y in x)


@pytest.mark.parametrize(
    ('neck', 'reason'),
    [
        (Noise(), 'it depends on chance or on near ties'),
        (Broken(), 'it is not finite'),
    ],
)
def test_what_is_not_recorded(neck, reason):
    model = seeded(build_model(detector_config('RetinaNet', 'resnet')))
    model.neck = nn.Sequential(model.neck, neck)
    found = record_outputs(model)
    assert isinstance(found['member.1.3'], list)
    assert found['neck.0'] == found['head.0.0'] == reason


def test_a_model_of_another_kind():
    backbone = build_model(TINY_MEMBERS['resnet'])
    (reason,) = record_outputs(backbone).values()
    assert reason.startswith('it cannot be computed from an image alone: ')


def test_distances():
    assert distance([2.0, 1.0], [2.0, 1.0]) == 0
    assert distance([2.0, 1.2], [2.0, 1.0]) == pytest.approx(0.1)
    assert distance([0.0, 0.0], [0.0, 0.0]) == 0
    nan, inf = float('nan'), float('inf')
    for found in ('a text', [2.0], [nan, 1.0], [2.0, nan], [inf, 1.0]):
        assert distance(found, [2.0, 1.0]) == float('inf')
    assert distance([1.0, 0.0], [0.0, 0.0]) == float('inf')


def test_the_process_is_left_as_it_was():
    model = seeded(build_model(detector_config('RetinaNet', 'resnet')))
    state = torch.get_rng_state()
    record_outputs(model)
    assert torch.equal(state, torch.get_rng_state())
    assert torch.is_grad_enabled()
