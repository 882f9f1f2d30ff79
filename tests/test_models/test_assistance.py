"""Assistant supervision, on Faster, Mask, Cascade Mask R-CNN and RetinaNet.

1. state-dict names, the lead's losses under one seed, and predictions are
   those of the plain detector, bitwise;
2. every trainable parameter has a gradient at once, and a nonzero one after
   two steps; one DDP step (gloo) without unused parameters;
3. ground truth is untouched; images without instances and crowd regions
   work; weights scale losses, not accuracies; weight 0 skips the pass;
4. ``proposals='lead'`` relays copies of the lead's proposals, ``'own'`` does
   not; with lead statistics, shared norms record the lead alone;
5. models pickle and deep-copy; data elements are copied without tensors.
"""

import copy
import pickle
from collections import Counter

import pytest
import torch
from mmdet.models.detectors import RetinaNet
from mmdet.structures import TrackDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from cbnet.models.detectors import factory
from cbnet.models.detectors.samples import fresh
from cbnet.testing import make_batch

from .detector_pairs import (
    BASES,
    TWO_STAGE,
    assert_equal,
    assisted_retinanet,
    losses_of,
    make_pair,
    open_connections,
)


@pytest.mark.parametrize('base', BASES)
def test_lead_equals_the_plain_detector(base):
    plain, model = make_pair(base)
    assert type(model).__name__ == f'Assisted{base}'
    assert isinstance(model, type(plain))
    assert list(model.state_dict()) == list(plain.state_dict())
    expected, found = losses_of(plain), losses_of(model)
    for name, value in expected.items():
        assert_equal(found.pop(name), value)
    assert set(found) == {f'assist0.{name}' for name in expected}


@pytest.mark.parametrize('base', BASES)
@pytest.mark.parametrize('num_members', [2, 3])
def test_every_parameter_learns(base, num_members):
    _, model = make_pair(base, num_members)
    for connection in model.backbone.connections:
        for p in connection.parameters():  # as they start: closed
            if p.ndim == 1:
                nn.init.zeros_(p)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    trainable = {n: p for n, p in model.named_parameters() if p.requires_grad}
    if base in TWO_STAGE:
        # Cascade's own value ignores anchors that leave the small image.
        model.rpn_head.train_cfg['allowed_border'] = -1
    # Large enough for RoIs on several levels.
    batch = make_batch((4, 4), size=(192, 256))
    for step in range(3):
        optimizer.zero_grad()
        loss, _ = model.parse_losses(losses_of(model, batch, seed=step))
        loss.backward()
        for name, p in trainable.items():
            assert p.grad is not None, name
            assert step < 2 or p.grad.abs().max() > 0, name
        optimizer.step()


@pytest.mark.parametrize('base', BASES)
def test_predictions_equal_the_plain_detector(base):
    plain, model = make_pair(base)
    results = []
    for detector in (plain, model):
        detector.eval()
        for name in ('bbox_head', 'roi_head'):
            # Random weights hardly reach the score threshold.
            if getattr(detector, name, None) is not None:
                cfg = detector.test_cfg
                cfg.get('rcnn', cfg).score_thr = 0.0
        with torch.no_grad():
            results.append(detector.test_step(make_batch()))
    found = 0
    for a, b in zip(*results, strict=True):
        a, b = a.pred_instances, b.pred_instances
        found += len(a)
        assert set(a.keys()) == set(b.keys())
        for key in a.keys():
            assert torch.equal(a[key], b[key])
    assert found > 0


@pytest.mark.parametrize('base', BASES)
def test_ground_truth_is_untouched(base):
    _, model = make_pair(base)
    batch = model.data_preprocessor(make_batch(), training=True)
    samples = batch['data_samples']
    before = copy.deepcopy(samples)
    containers = [s.gt_instances for s in samples]
    model.train()
    model.loss(batch['inputs'], samples)
    for sample, old, container in zip(
        samples, before, containers, strict=True
    ):
        assert sample.gt_instances is container
        assert set(sample.keys()) == set(old.keys())
        assert set(sample.gt_instances.keys()) == set(old.gt_instances.keys())
        assert torch.equal(sample.gt_instances.bboxes, old.gt_instances.bboxes)
        assert torch.equal(sample.gt_instances.labels, old.gt_instances.labels)
        assert (
            sample.gt_instances.masks.masks == old.gt_instances.masks.masks
        ).all()


class Consumes(RetinaNet):
    """Takes the ground truth apart, as RTMDet-Ins and Fast R-CNN do."""

    def loss(self, batch_inputs, batch_data_samples):
        for sample in batch_data_samples:
            sample.gt_instances.masks = sample.gt_instances.pop('masks').masks
            sample.set_metainfo(dict(seen=True))
        return super().loss(batch_inputs, batch_data_samples)


def test_ground_truth_survives_a_detector_that_consumes_it():
    model = assisted_retinanet(Consumes)
    batch = model.data_preprocessor(make_batch(), training=True)
    samples = batch['data_samples']
    model.train()
    losses = model.loss(batch['inputs'], samples)
    assert 'assist0.loss_cls' in losses  # the second pass found all it needs
    for sample in samples:
        assert isinstance(sample.gt_instances.masks, BitmapMasks)
        assert 'seen' not in sample


@pytest.mark.parametrize('base', BASES)
def test_images_without_instances_and_crowd(base):
    _, model = make_pair(base)
    batch = make_batch(boxes_per_image=(0, 2))
    crowd = batch['data_samples'][1]
    crowd.ignored_instances = InstanceData(
        bboxes=torch.tensor([[0.0, 0.0, 60.0, 60.0]]),
        labels=torch.zeros(1, dtype=torch.long),
        masks=crowd.gt_instances.masks[:1],
    )
    for boxes in (batch, make_batch(boxes_per_image=(0, 0))):
        loss, _ = model.parse_losses(losses_of(model, boxes))
        loss.backward()
        assert loss.isfinite()
    for name, p in model.named_parameters():
        assert not p.requires_grad or p.grad is not None, name


@pytest.mark.parametrize('base', BASES)
@pytest.mark.parametrize('weights', [[0.5, 1.0], [0.25, 0.0], 0.5])
def test_weights_scale_losses_alone(base, weights):
    _, model = make_pair(base, 3, weights=[1.0, 1.0])
    full = losses_of(model)
    _, again = make_pair(base, 3, weights=weights)
    again.load_state_dict(model.state_dict())
    found = losses_of(again)
    weights = [weights] * 2 if isinstance(weights, float) else weights
    for name, value in full.items():
        factor = 1.0
        if name.startswith('assist'):
            factor = weights[int(name[6])]
            if factor == 0:
                assert name not in found
                continue
            factor = factor if 'loss' in name else 1.0
        if isinstance(value, list):
            value = [v * factor for v in value]
        else:
            value = value * factor
        assert_equal(found[name], value)


def test_published_weights_by_default():
    _, model = make_pair('FasterRCNN', 3)
    assert model.assistant_weights == (0.5, 1.0)
    assert model.proposals == 'lead'
    _, model = make_pair('RetinaNet', 1)
    assert model.assistant_weights == ()
    assert model.proposals == 'own'
    assert not [n for n in losses_of(model) if n.startswith('assist')]


def seen_proposals(model):
    """The boxes that each RoI pass receives."""
    seen, loss = [], model.roi_head.loss

    def record(x, proposals, samples, **kwargs):
        seen.append([p.bboxes for p in proposals])
        return loss(x, proposals, samples, **kwargs)

    model.roi_head.loss = record
    return seen


@pytest.mark.parametrize('base', TWO_STAGE)
def test_whose_proposals(base):
    for proposals in ('lead', 'own'):
        _, model = make_pair(base, 3, proposals=proposals)
        seen = seen_proposals(model)
        losses_of(model)
        lead, *others = seen
        assert len(others) == 2
        for boxes in others:
            same = all(
                a.shape == b.shape and torch.equal(a, b)
                for a, b in zip(lead, boxes, strict=True)
            )
            assert same == (proposals == 'lead')
        # Nothing is left behind on the head.
        assert 'loss_and_predict' not in vars(model.rpn_head)


@pytest.mark.parametrize('proposals', ['lead', 'own'])
@pytest.mark.parametrize('base', TWO_STAGE)
def test_total_equals_an_independent_sum(base, proposals):
    """Each member's losses, computed by the plain detector by hand."""
    plain, model = make_pair(base, proposals=proposals, weights=[0.3])
    found = losses_of(model)
    batch = plain.data_preprocessor(make_batch(), training=True)
    samples = batch['data_samples']
    plain.train()
    assistant, lead = plain.backbone(batch['inputs'], all_members=True)
    relayed, total = None, 0
    torch.manual_seed(0)
    for weight, pyramid in ((1.0, lead), (0.3, assistant)):
        x = plain.neck(pyramid)
        rpn_samples = copy.deepcopy(samples)
        for sample in rpn_samples:
            sample.gt_instances.labels.zero_()
        losses, results = plain.rpn_head.loss_and_predict(
            x, rpn_samples, proposal_cfg=plain.train_cfg.rpn_proposal
        )
        relayed = relayed or copy.deepcopy(results)
        results = copy.deepcopy(relayed) if proposals == 'lead' else results
        losses.update(plain.roi_head.loss(x, results, samples))
        total = total + weight * plain.parse_losses(losses)[0]
    torch.testing.assert_close(model.parse_losses(found)[0], total)


@pytest.mark.parametrize('base', BASES)
def test_pickle_and_deepcopy(base):
    _, model = make_pair(base)
    expected = losses_of(model)
    for twin in (
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),  # noqa: S301
    ):
        assert type(twin) is type(model)
        for name, value in losses_of(twin).items():
            assert_equal(value, expected[name])
    assert getattr(factory, f'Assisted{base}') is type(model)
    with pytest.raises(AttributeError):
        _ = factory.AssistedNothing


@pytest.mark.parametrize('base', BASES)
def test_one_ddp_step(base, tmp_path):
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{tmp_path}/store', rank=0, world_size=1
    )
    try:
        _, model = make_pair(base)
        ddp = DistributedDataParallel(model, find_unused_parameters=False)
        for _ in range(2):  # the second step fails if the first left any
            batch = model.data_preprocessor(make_batch(), training=True)
            loss, _ = model.parse_losses(ddp(**batch, mode='loss'))
            loss.backward()
    finally:
        torch.distributed.destroy_process_group()


def test_nothing_is_computed_twice():
    _, model = make_pair('FasterRCNN', 3)
    calls = Counter()
    parts = {f'member {k}': m for k, m in enumerate(model.backbone.members)}
    parts |= dict(neck=model.neck, rpn=model.rpn_head)
    for name, part in parts.items():
        stage = getattr(part, 'layer4', part)
        stage.register_forward_hook(lambda *_, name=name: calls.update([name]))
    losses_of(model)
    once = dict.fromkeys(['member 0', 'member 1', 'member 2'], 1)
    assert calls == once | dict(neck=3, rpn=3)


class AsksTwice(RetinaNet):
    """Asks its backbone itself, and more than once, with five dimensions."""

    def loss(self, batch_inputs, batch_data_samples):
        clip = batch_inputs[:, None].flip(-1)
        x = self.neck(self.backbone(clip.flatten(0, 1)))
        flipped = self.bbox_head.loss(x, batch_data_samples)
        losses = super().loss(batch_inputs, batch_data_samples)
        return losses | {f'flipped_{n}': v for n, v in flipped.items()}


def test_a_detector_that_asks_its_backbone_twice():
    torch.manual_seed(0)
    model = assisted_retinanet(AsksTwice, weights=1)
    open_connections(model)
    found = losses_of(model)
    batch = model.data_preprocessor(make_batch(), training=True)
    images, samples = batch['inputs'], batch['data_samples']
    for i, prefix in enumerate(('assist0.', '')):
        for x, flip in ((images, ''), (images.flip(-1), 'flipped_')):
            maps = model.backbone(x, all_members=True)[i]
            losses = model.bbox_head.loss(model.neck(maps), samples)
            for name, value in losses.items():
                assert_equal(found[f'{prefix}{flip}{name}'], value)


def test_fresh_shares_tensors_not_containers():
    sample = make_batch()['data_samples'][0]
    copy_ = fresh(sample)
    assert copy_ is not sample
    assert copy_.gt_instances is not sample.gt_instances
    assert copy_.gt_instances.bboxes is sample.gt_instances.bboxes
    copy_.gt_instances.pop('labels')
    assert 'labels' in sample.gt_instances


def test_fresh_videos_and_branches():
    video = TrackDataSample(metainfo=dict(key_frames_inds=[0]))
    video.video_data_samples = make_batch()['data_samples']
    (copied,) = fresh(dict(sup=[video]))['sup']
    assert copied.key_frames_inds == [0] and len(copied) == len(video)
    copied[0].gt_instances.pop('labels')
    assert 'labels' in video[0].gt_instances
    assert copied[1].gt_instances.bboxes is video[1].gt_instances.bboxes
