"""Dual-Swin-L, made tiny: everything that its config combines at once.

HTC with the semantic branch, 4conv1fc box heads and masks averaged over the
stages, on a composite of two Swins, with assistance.

1. the lead's losses are those of the plain detector under one seed; the
   assistant has the same ones, and its semantic loss is that of its own
   pyramid, weighted;
2. every trainable parameter has a gradient at once, as DDP requires;
3. predictions, masks too, are those of the plain detector.
Test-time augmentation of it is tested in tests/test_tta.
"""

import pytest
import torch

from cbnet.testing import build_model, make_batch

from .detector_pairs import assert_equal, losses_of, tiny_dual_swin_l


@pytest.fixture
def pair():
    """The plain and the assisted detector with the same weights."""
    cfg = tiny_dual_swin_l()
    model = build_model(cfg)
    assert cfg.pop('assistance') == dict(weights=[0.5], proposals='lead')
    cfg['type'] = cfg.pop('base')
    plain = build_model(cfg)
    for p in model.backbone.connections.parameters():  # some start at zero
        torch.nn.init.normal_(p, std=0.1)
    plain.load_state_dict(model.state_dict(), strict=True)
    return plain, model


def test_what_the_config_combines(pair):
    plain, model = pair
    names = {type(m).__name__ for m in plain.modules()}
    assert names >= {
        'HybridTaskCascade',
        'StageMeanHTCRoIHead',
        'FusedSemanticHead',
        'ConvFCBBoxHead',
        'CompositeBackbone',
        'SwinTransformer',
    }
    assert type(model).__name__ == 'AssistedHybridTaskCascade'
    assert model.backbone.num_members == 2


def test_lead_equals_the_plain_detector(pair):
    plain, model = pair
    expected, found = losses_of(plain), losses_of(model)
    assert 'loss_semantic_seg' in expected and 's2.loss_mask' in expected
    assert set(found) == {*expected, *(f'assist0.{n}' for n in expected)}
    for name, value in expected.items():
        assert_equal(found[name], value)


def test_semantic_loss_of_the_assistant(pair):
    plain, model = pair
    found = losses_of(model)
    batch = plain.data_preprocessor(make_batch(), training=True)
    maps = torch.stack(
        [sample.gt_sem_seg.sem_seg for sample in batch['data_samples']]
    )
    head = plain.roi_head.semantic_head
    assistant, lead = plain.backbone(batch['inputs'], all_members=True)
    for name, pyramid, weight in (
        ('loss_semantic_seg', lead, 1.0),
        ('assist0.loss_semantic_seg', assistant, 0.5),
    ):
        seen, _ = head(plain.neck(pyramid))
        torch.testing.assert_close(found[name], weight * head.loss(seen, maps))


def test_every_parameter_has_a_gradient(pair):
    _, model = pair
    loss, _ = model.parse_losses(losses_of(model))
    loss.backward()
    assert loss.isfinite()
    for name, p in model.named_parameters():
        assert p.grad is not None, name


def test_predictions_equal_the_plain_detector(pair):
    results = []
    for detector in pair:
        with torch.no_grad():
            results.append(detector.eval().test_step(make_batch()))
    for one, other in zip(*results, strict=True):
        one, other = one.pred_instances, other.pred_instances
        assert len(one) > 10 and one.masks.shape[1:] == (64, 96)
        assert one.masks.any()
        for key in ('bboxes', 'scores', 'labels', 'masks'):
            assert torch.equal(one[key], other[key]), key
