import pytest
import torch
from mmengine.config import Config

from cbnet.analysis.benchmark.candidates import Setting, make_candidate
from cbnet.testing import make_batch, tiny_composite, tiny_detector


def batch_of(shape, number):
    return make_batch((2,) * number, shape, num_classes=1)


@pytest.fixture
def cpu():
    return torch.device('cpu')


@pytest.fixture
def make():
    """Make a candidate of a tiny Mask R-CNN that detects all it may."""

    def candidate(name='a', member='resnet', known=(), members=2, **settings):
        model = tiny_detector('MaskRCNN', tiny_composite(
            member, num_members=members))  # fmt: skip
        model['test_cfg']['rcnn'].update(score_thr=0.0, max_per_img=3)
        setting = Setting(
            **dict(dict(shape=(64, 96), batch_of=batch_of), **settings)
        )
        return make_candidate(name, Config(dict(model=model)), setting, known)

    return candidate
