"""Detectors of panoptic data, without the package that reads such data.

The steps of a test pipeline that load annotations are left out, and a model
that predicts no instances is refused in a sentence.
"""

import numpy as np
import pytest
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.structures import PixelData

from cbnet.inference import Inferencer
from cbnet.inference.inferencer import best_first
from cbnet.testing import tiny_detector

PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(96, 64), keep_ratio=True),
    dict(type='LoadPanopticAnnotations'),
    dict(type='PackDetInputs', meta_keys=('ori_shape', 'scale_factor')),
]


def test_annotations_are_not_loaded():
    dataset = dict(
        type='CocoDataset',
        pipeline=PIPELINE,
        metainfo=dict(classes=('a', 'b', 'c')),
    )
    cfg = dict(
        model=tiny_detector('RetinaNet'),
        test_dataloader=dict(dataset=dataset),
        default_scope='mmdet',
    )
    inferencer = Inferencer(Config(cfg), device='cpu')
    assert inferencer.classes == ('a', 'b', 'c')
    image = inferencer.read(np.zeros((40, 60, 3), np.uint8))
    batch = inferencer.batch([image])
    assert batch['inputs'][0].shape == (3, 64, 96)


def test_no_instances():
    sample = DetDataSample(pred_panoptic_seg=PixelData())
    with pytest.raises(ValueError, match='no instances, but pred_panoptic'):
        best_first(sample)
