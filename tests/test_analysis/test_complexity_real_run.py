"""The counts on shapes equal those of a real run, part by part.

Detectors with one, three and interleaved stages of heads, and detectors
without RoI heads, compute the real losses and detections of an image. The
variants: with assistants, without, with an assistant that has no losses, with
a style in which a stage serves only training, and with three members that
have stems of their own.
"""

from collections import Counter

import pytest
import torch
from mmengine.structures import PixelData

from cbnet.analysis.complexity import measure_detector
from cbnet.analysis.complexity.meter import metered
from cbnet.analysis.complexity.parts import find_parts
from cbnet.testing import (
    build_model,
    make_batch,
    tiny_composite,
    tiny_detector,
)

SIZE = (64, 96)
BASES = [
    'FasterRCNN', 'MaskRCNN', 'CascadeRCNN', 'HybridTaskCascade', 'RetinaNet',
]  # fmt: skip


def config(base, weights=(0.5,), **backbone):
    """Ask for few RoIs, so that every sampler and selection gets enough."""
    model = tiny_detector(base, tiny_composite(**backbone))
    if 'roi_head' in model:
        model['test_cfg']['rpn']['max_per_img'] = 8
        model['test_cfg']['rcnn'].update(score_thr=0, max_per_img=5)
        rcnn = model['train_cfg']['rcnn']
        for stage in rcnn if isinstance(rcnn, list) else [rcnn]:
            stage['sampler'].update(num=16, pos_fraction=0.25)
    if weights is not None:
        model.update(
            type='AssistedDetector',
            base=base,
            assistance=dict(weights=list(weights)),
        )
    return model


def real_run(model, mode):
    """Return the multiply-accumulates of each part that ran."""
    # More boxes than the sampler takes positive ones.
    batch = make_batch((6,), SIZE)
    for sample in batch['data_samples']:
        sample.gt_sem_seg = PixelData(
            sem_seg=torch.zeros(1, *SIZE, dtype=torch.long)
        )
    data = model.data_preprocessor(batch, training=True)
    with metered(model, find_parts(model, data['inputs'])) as reading:
        getattr(model, mode)(data['inputs'], data['data_samples'])
    return +reading.macs


def counted(model, column):
    parts = measure_detector(build_model(model), SIZE).parts
    return +Counter({n: getattr(part, column) for n, part in parts.items()})


@pytest.mark.parametrize('base', BASES)
def test_training(base):
    model = config(base)
    assert real_run(build_model(model).train(), 'loss') == counted(
        model, 'training'
    )


@pytest.mark.parametrize('base', BASES)
def test_inference(base):
    model = config(base)
    assert real_run(build_model(model).eval(), 'predict') == counted(
        model, 'macs'
    )


@pytest.mark.parametrize(
    'options',
    [
        dict(weights=None),
        dict(weights=[0]),
        dict(weights=[], num_members=1),
        dict(style='slc'),
        dict(weights=[0.5, 0], num_members=3, style='slc'),
        dict(weights=[0.5, 1], num_members=3, shared_stages=None),
        dict(member='swin', shared_stages=2, fast=False),  # pads
    ],
    ids=str,
)
def test_training_of_composites(options):
    model = config('FasterRCNN', **options)
    training = real_run(build_model(model).train(), 'loss')
    assert training == counted(model, 'training')


@pytest.mark.parametrize(
    'options', [dict(weights=[0.5]), dict(weights=[0.5], style='slc')], ids=str
)
def test_assistance_is_the_difference_to_the_plain_detector(options):
    model = config('MaskRCNN', **options)
    plain = config('MaskRCNN', **{**options, 'weights': None})
    extra = real_run(build_model(model).train(), 'loss')
    extra.subtract(real_run(build_model(plain).train(), 'loss'))
    assert +extra == counted(model, 'assistance')
    last_stage = 'member 0 (assistant)' in +extra
    assert last_stage == ('style' in options)
