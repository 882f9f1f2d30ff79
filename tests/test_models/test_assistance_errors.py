"""Assistant supervision: what does not fit is an error that says so.

1. passes that ask the backbone differently, or never; a model that computes
   losses from the heads of the detector that it holds;
2. the lead's proposals where there are none; a backbone that is no
   composite; a base that is no detector;
3. weights and options out of range; near matches are offered;
4. an assistant whose maps the shared neck cannot take.
"""

import re
from typing import ClassVar

import pytest
import torch
from mmdet.models.detectors import RetinaNet
from mmdet.models.detectors.base import BaseDetector

from cbnet.models import AssistedDetector
from cbnet.testing import build_model, tiny_composite, tiny_detector

from .detector_pairs import assisted_retinanet, losses_of, make_pair


class Remembering(RetinaNet):
    """Asks only the first time, and for an assistant not at all."""

    def extract_feat(self, batch_inputs):
        if not hasattr(self, 'features'):
            self.features = super().extract_feat(batch_inputs)
        return self.features


class Once(Remembering):
    """Has its features from before its first loss."""

    def loss(self, batch_inputs, batch_data_samples):
        return self.bbox_head.loss(self.features, batch_data_samples)


class Growing(RetinaNet):
    """Asks once more with every pass."""

    passes: ClassVar[list] = []

    def loss(self, batch_inputs, batch_data_samples):
        self.passes.append(1)
        for _ in self.passes[1:]:
            self.backbone(batch_inputs)
        return super().loss(batch_inputs, batch_data_samples)


@pytest.mark.parametrize(
    ('cls', 'message'),
    [
        (Remembering, 'asks its backbone less often for an assistant'),
        (Once, 'does not ask its backbone for maps'),
        (Growing, r'more often for an assistant than .* \(1 times\)'),
    ],
)
def test_passes_that_do_not_ask_alike(cls, message):
    model = assisted_retinanet(cls)
    if cls is Once:
        model.eval()
        model.extract_feat(torch.zeros(2, 3, 64, 96))
    with pytest.raises(TypeError, match=f'{cls.__name__}.loss .*{message}'):
        losses_of(model)
    # The failed pass leaves nothing behind.
    assert 'forward' not in vars(model.backbone)


class Holder(BaseDetector):
    """Computes losses from the heads of what it holds, as trackers do."""

    predict = _forward = extract_feat = None

    def __init__(self, detector):
        super().__init__()
        self.detector = detector

    def loss(self, batch_inputs, batch_data_samples):
        x = self.detector.extract_feat(batch_inputs)
        return self.detector.bbox_head.loss(x, batch_data_samples)


def test_assistance_that_never_runs():
    model = Holder(assisted_retinanet(RetinaNet))
    model.data_preprocessor = model.detector.data_preprocessor
    with pytest.raises(TypeError, match='AssistedRetinaNet are never superv'):
        sum(sum(v) for v in losses_of(model).values()).backward()
    # Where it has run, and where it was not asked for, there is no error.
    losses_of(model.detector)
    for detector in (model.detector, assisted_retinanet(RetinaNet, weights=0)):
        model.detector = detector
        sum(sum(v) for v in losses_of(model).values()).backward()


def test_a_base_that_holds_a_detector():
    detector = tiny_detector('RetinaNet', tiny_composite())
    cfg = dict(type='AssistedDetector', base='ByteTrack', detector=detector)
    with pytest.raises(TypeError, match="'ByteTrack' has no backbone of its"):
        build_model(cfg)


def test_a_detector_with_fixed_proposals_needs_own():
    cfg = tiny_detector('FasterRCNN', tiny_composite())
    del cfg['rpn_head']
    cfg['train_cfg'] = dict(rcnn=cfg['train_cfg']['rcnn'])
    cfg['test_cfg'] = dict(rcnn=cfg['test_cfg']['rcnn'])
    cfg.update(
        type='AssistedDetector',
        base='FastRCNN',
        assistance=dict(proposals='lead'),
    )
    with pytest.raises(ValueError, match="needs rpn_head.*use 'own'"):
        build_model(cfg)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (
            dict(weights=[0.5, 0.5]),
            r'weights=\[0.5, 0.5\] does not fit backbone.num_members=2: '
            'expected one weight for each of the 1 assistants',
        ),
        (dict(weights=['a']), 'a list of finite numbers from 0'),
        (dict(weights=[-1]), 'finite numbers from 0'),
        (dict(weights=[float('nan')]), 'finite numbers from 0'),
        (dict(weights='0.5'), "weights='0.5'; expected a list of finite"),
        (dict(proposals='mine'), "proposals='mine'"),
        (dict(weight=0.5), "no option 'weight'; did you mean 'weights'"),
    ],
)
def test_arguments_that_do_not_fit(options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make_pair('FasterRCNN', **options)


@pytest.mark.parametrize(
    ('assistance', 'message'),
    [
        (5, 'AssistedDetector: assistance=5; expected a dict of settings'),
        ([dict(weights=1)], 'assistance=[{'),
        (dict(lead_statistics=1), 'assistance.lead_statistics=1; expected Tr'),
        (dict(lead_statistics='no'), "lead_statistics='no'; expected True"),
        (
            dict(weights=True),
            'assistance.weights=True; expected a list of',
        ),
        (dict(weights=[True]), 'assistance.weights=[True]; expected a list'),
    ],
)
def test_assistance_of_another_kind(assistance, message):
    cfg = tiny_detector('RetinaNet', tiny_composite())
    cfg.update(type='AssistedDetector', base='RetinaNet')
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        build_model(dict(cfg, assistance=assistance))


@pytest.mark.parametrize('base', [3, None, ['RetinaNet']])
def test_a_base_of_another_kind(base):
    with pytest.raises(TypeError, match='base=.*; expected a string'):
        AssistedDetector(base)


def test_lead_proposals_need_two_stages():
    with pytest.raises(ValueError, match='AssistedRetinaNet lacks one'):
        make_pair('RetinaNet', proposals='lead')


def test_a_plain_backbone_is_refused():
    cfg = tiny_detector('RetinaNet')
    cfg.update(type='AssistedDetector', base='RetinaNet')
    with pytest.raises(TypeError, match='model.backbone is ResNet'):
        build_model(cfg)


def test_an_unknown_base_is_named():
    with pytest.raises(ValueError, match="base='MaskRCN'.*mean 'MaskRCNN'"):
        AssistedDetector('MaskRCN')
    with pytest.raises(ValueError, match="base='?'.* detector. Give the type"):
        AssistedDetector('?')


def unequal(**assistance):
    cfg = tiny_detector(
        'RetinaNet',
        tiny_composite(['resnet_bottleneck', 'resnet'], shared_stages=None),
    )
    cfg.update(type='AssistedDetector', base='RetinaNet')
    return build_model(dict(cfg, assistance=assistance))


def test_an_assistant_whose_maps_do_not_fit_the_neck():
    with pytest.raises(ValueError) as raised:
        unequal(weights=[0.5])
    assert str(raised.value) == (
        'assistance.weights[0]=0.5: stage 0 gives 16 channels at stride 4 in '
        'member 0, 8 channels at stride 4 in the lead, and one neck serves '
        'both; use members with equal maps, or weight 0 for this assistant'
    )
    losses_of(unequal(weights=[0]))
