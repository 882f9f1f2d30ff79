"""The comparison of two detectors, with stand-ins for them.

A detector may predict panoptic maps and no instances; a difference in one of
them is found.
"""

import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import PixelData
from torch import nn

from cbnet.twins import proof


class Panoptic(nn.Module):
    """Predicts one map of segments."""

    def __init__(self, _, number, __):
        super().__init__()
        self.model, self.number = self, int(number)

    def read(self, image):
        return image

    batch = read

    def named_modules(self, *args, **kwargs):
        return iter(())

    def test_step(self, batch):
        sample = DetDataSample()
        maps = torch.full((1, 4, 6), self.number)
        sample.pred_panoptic_seg = PixelData(sem_seg=maps)
        return [sample]


@pytest.mark.parametrize('number', [3, 5])
def test_panoptic_maps(number, monkeypatch):
    monkeypatch.setattr(proof, 'Inferencer', Panoptic)
    apart = proof.compare_detectors((None, 3), (None, number), [None])
    assert apart.detections == 0 and apart.outputs == 1
    assert apart.largest == number - 3
    assert apart.place == ('pred_panoptic_seg.sem_seg' if number > 3 else '')
