"""The figures of a test: one for each image, in the pixels of its file.

Truth that a pipeline has resized and padded becomes what it was, boxes and
masks, polygons or bitmaps; also in the figures of a validation.
"""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmdet.engine.hooks import DetVisualizationHook
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks, PolygonMasks
from mmengine.config import Config
from mmengine.structures import InstanceData
from mmengine.visualization import Visualizer

from cbnet.analysis.visualizing import (
    EveryImageVisualizationHook,
    in_pixels_of_the_file,
)


@pytest.mark.parametrize('kind', ['bitmap', 'polygon', 'none'])
def test_truth_in_pixels_of_the_file(kind):
    """An image of 40x60 pixels at half its size, padded to 32x32."""
    truth = InstanceData(bboxes=torch.tensor([[5.0, 2.0, 25.0, 12.0]]))
    if kind == 'bitmap':
        padded = np.zeros((1, 32, 32), np.uint8)
        padded[0, 2:12, 5:25] = 1
        truth.masks = BitmapMasks(padded, 32, 32)
    elif kind == 'polygon':
        corners = np.array([5.0, 2, 25, 2, 25, 12, 5, 12])
        truth.masks = PolygonMasks([[corners]], 32, 32)
    sample = DetDataSample(
        gt_instances=truth,
        metainfo=dict(ori_shape=(40, 60), scale_factor=(0.5, 0.5)),
    )
    restored = in_pixels_of_the_file(sample).gt_instances
    assert restored.bboxes.tolist() == [[10, 4, 50, 24]]
    assert truth.bboxes.tolist() == [[5, 2, 25, 12]]
    if kind != 'none':
        (mask,) = restored.masks.to_ndarray()
        expected = np.zeros((40, 60))
        expected[4:24, 10:50] = 1
        assert mask.shape == (40, 60)
        # Polygons are drawn without their last row and column.
        assert np.abs(mask - expected).sum() <= 40 + 20


@pytest.mark.parametrize('resized', [True, False])
def test_a_validation(resized, monkeypatch):
    shown = []
    monkeypatch.setattr(
        DetVisualizationHook,
        'after_val_iter',
        lambda self, runner, index, batch, outputs: shown.extend(outputs),
    )
    steps = ['LoadAnnotations', 'Resize'][:: 1 if resized else -1]
    pipeline = [dict(type=name) for name in steps]
    loader = dict(val_dataloader=dict(dataset=dict(pipeline=pipeline)))
    truth = InstanceData(bboxes=torch.tensor([[5.0, 2.0, 25.0, 12.0]]))
    sample = DetDataSample(
        gt_instances=truth,
        metainfo=dict(ori_shape=(40, 60), scale_factor=(0.5, 0.5)),
    )
    monkeypatch.setattr(Visualizer, 'get_current_instance', lambda: None)
    hook = EveryImageVisualizationHook(draw=True)
    runner = SimpleNamespace(cfg=Config(loader))
    hook.after_val_iter(runner, 0, {}, [sample])
    (one,) = shown
    boxes = one.gt_instances.bboxes.tolist()
    assert boxes == [[10, 4, 50, 24] if resized else [5, 2, 25, 12]]
