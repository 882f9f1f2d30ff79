"""MaskTTAModel on detectors whose views are averaged.

1. One view gives the plain predictions bit for bit, with soft-NMS too; a
   view seen twice changes nothing.
2. A flipped view gives the predictions of the flipped image, flipped back,
   in three directions and inside a Pad; a flipped image gives flipped results.
3. Boxes and scores on known proposals are the means over the views, and so
   are mask probabilities: of one head, of a cascade, of HTC's last stage and
   of the mean of HTC's stages.
4. Several images in a batch give the results that each gives alone.
5. Thresholds and numbers of the config hold; views or images may have no
   proposals, images may have no detections.
6. An assisted detector gives the results of the plain one; the tiny
   Dual-Swin-L among the detectors is an assisted one, too.
"""

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from torch import nn

from cbnet.models.detectors.htc import StageMeanHTCRoIHead
from cbnet.testing import build_model, tiny_composite, tiny_detector
from cbnet.tta import MaskTTAModel

from .tta_views import (
    DETECTORS,
    make_detector,
    make_images,
    make_views,
    predict,
)

WITH_MASKS = ['MaskRCNN', 'CascadeRCNN', 'HybridTaskCascade', 'DualSwinL']
SCALE = (130, 80)
OWN = (97, 65)  # of the images: resizing a mirrored image may round otherwise
AXES = dict(horizontal=(1,), vertical=(0,), diagonal=(0, 1))
FLIPPED = [
    *((base, 'horizontal') for base in DETECTORS),
    ('MaskRCNN', 'vertical'),
    ('MaskRCNN', 'diagonal'),
]


def merged(model, images, *views, **options):
    tta = MaskTTAModel(module=model, **options)
    return tta.test_step(make_views(images, *views))


def flipped(images, direction):
    return [np.flip(image, AXES[direction]) for image in images]


def flip_boxes(boxes, direction, height, width):
    x1, y1, x2, y2 = boxes.unbind(1)
    if direction != 'vertical':
        x1, x2 = width - x2, width - x1
    if direction != 'horizontal':
        y1, y2 = height - y2, height - y1
    return torch.stack([x1, y1, x2, y2], 1)


def assert_identical(found, expected):
    assert sum(len(one.pred_instances) for one in expected) > 3
    for one, other in zip(found, expected, strict=True):
        one, other = one.pred_instances, other.pred_instances
        assert set(one.keys()) == set(other.keys())
        for key in other.keys():
            assert torch.equal(one[key], other[key]), key


def assert_close(found, expected, direction=None):
    """Same detections, those expected flipped first; masks to a pixel."""
    assert sum(len(one.pred_instances) for one in expected) > 3
    for sample, other in zip(found, expected, strict=True):
        one, other = sample.pred_instances, other.pred_instances
        boxes = other.bboxes
        if direction:
            boxes = flip_boxes(boxes, direction, *sample.ori_shape)
        assert one.labels.tolist() == other.labels.tolist()
        torch.testing.assert_close(one.scores, other.scores, atol=1e-4, rtol=0)
        torch.testing.assert_close(one.bboxes, boxes, atol=1e-2, rtol=0)
        assert ('masks' in one) == ('masks' in other)
        if 'masks' in one:
            masks = other.masks
            if direction:
                masks = masks.flip([1 + axis for axis in AXES[direction]])
            assert masks.any()
            assert (one.masks != masks).float().mean() < 1e-3


@pytest.mark.parametrize('base', DETECTORS)
def test_one_view(base):
    model = make_detector(base)
    images = make_images()
    found = merged(model, images, (SCALE, None))
    assert_identical(found, predict(model, images, SCALE))


@pytest.mark.parametrize('base', ['FasterRCNN', 'MaskRCNN'])
def test_soft_nms(base):
    nms = dict(type='soft_nms', iou_threshold=0.1, min_score=0.25)
    soft, hard = make_detector(base, nms=nms), make_detector(base)
    images = make_images()
    found = merged(soft, images, (SCALE, None))
    assert_identical(found, predict(soft, images, SCALE))
    hard = [one.pred_instances.scores for one in predict(hard, images, SCALE)]
    assert hard[0].tolist() != found[0].pred_instances.scores.tolist()


@pytest.mark.parametrize(('base', 'direction'), FLIPPED)
def test_one_flipped_view(base, direction):
    model = make_detector(base)
    images = make_images()
    found = merged(model, images, (OWN, direction))
    expected = predict(model, flipped(images, direction), OWN)
    assert_close(found, expected, direction)


@pytest.mark.parametrize('base', DETECTORS)
def test_a_view_twice(base):
    """The RPN selects in each level; merged proposals meet across levels."""
    model = make_detector(base)
    if base != 'RetinaNet':
        model.rpn_head.test_cfg.nms.iou_threshold = 0.99
    images = make_images()
    found = merged(model, images, (SCALE, None), (SCALE, None))
    assert_close(found, predict(model, images, SCALE))


@pytest.mark.parametrize('base', WITH_MASKS)
def test_image_and_its_mirror_image(base):
    model = make_detector(base)
    images = make_images()
    views = (OWN, None), (OWN, 'horizontal')
    found = merged(model, flipped(images, 'horizontal'), *views)
    assert_close(found, merged(model, images, *views), 'horizontal')
    # The views do not agree by themselves, and both of them count.
    alone = predict(model, images, OWN)[0].pred_instances.scores
    assert not torch.equal(found[0].pred_instances.scores, alone)


def propose(model, monkeypatch, boxes):
    """Let the RPN find these boxes, xyxy in pixels of the image."""

    def found(pyramid, samples, rescale):
        proposals = []
        for sample, box in zip(samples, boxes, strict=True):
            if sample.flip:
                raise AssertionError('the detector learns of a flip')
            scale = box.new_tensor(sample.scale_factor).repeat(2)
            proposals.append(
                InstanceData(bboxes=box * scale, scores=torch.ones(len(box)))
            )
        return proposals

    monkeypatch.setattr(model.rpn_head, 'predict', found)


@pytest.mark.parametrize('base', ['FasterRCNN', 'DualSwinL'])
@pytest.mark.parametrize('direction', ['horizontal', 'diagonal'])
def test_flipped_view_in_a_padded_image(base, direction, monkeypatch):
    """A flip mirrors the resized image, not the larger one that Pad makes."""
    model = make_detector(base, score_thr=0.1)
    boxes = torch.tensor([[30.0, 20, 60, 45], [40, 15, 65, 35]])
    propose(model, monkeypatch, [boxes, boxes])
    images, pad = make_images(), (160, 128)
    views = make_views(images, (OWN, direction), pad=pad)
    found = MaskTTAModel(module=model).test_step(views)
    assert found[0].img_shape == (128, 160)
    expected = predict(model, flipped(images, direction), OWN, pad)
    assert_close(found, expected, direction)


def test_means_of_boxes_and_scores(monkeypatch):
    """One proposal; its class-wise boxes and scores in two scales."""
    model = make_detector('FasterRCNN', score_thr=0.0)
    images = make_images(1)
    propose(model, monkeypatch, [torch.tensor([[10.0, 8.0, 60.0, 50.0]])])
    scales = SCALE, OWN
    alone = []
    for scale in scales:
        (sample,) = predict(model, images, scale)
        order = sample.pred_instances.labels.argsort()
        alone.append(sample.pred_instances[order])
    found = merged(model, images, *((scale, None) for scale in scales))
    found = found[0].pred_instances
    found = found[found.labels.argsort()]
    assert found.labels.tolist() == alone[0].labels.tolist() == [0, 1, 2]
    for key in ('bboxes', 'scores'):
        assert not torch.allclose(alone[0][key], alone[1][key], rtol=1e-3)
        torch.testing.assert_close(
            found[key], (alone[0][key] + alone[1][key]) / 2
        )


@pytest.mark.parametrize('base', WITH_MASKS)
def test_means_of_masks(base, monkeypatch):
    """Compare with probabilities from the parts of the detector."""
    model = make_detector(base)
    images = make_images(1)
    views = (SCALE, None), (SCALE, 'horizontal')
    (found,) = merged(model, images, *views)
    head = model.roi_head.mask_head
    head = head[-1] if isinstance(head, nn.ModuleList) else head
    boxes = found.pred_instances.bboxes
    per_view = []
    for mirror in (False, True):
        seen = flipped(images, 'horizontal') if mirror else images
        width = images[0].shape[1]
        box = boxes.clone()
        if mirror:
            box = flip_boxes(boxes, 'horizontal', 0, width)
        maps = probabilities_of(model, seen, box)
        per_view.append(maps.flip(-1) if mirror else maps)
    mean = torch.stack(per_view).mean(0)
    assert not torch.allclose(per_view[0], per_view[1], atol=0.05)
    scale = boxes.new_tensor(found.scale_factor).repeat(2)
    (expected,) = head.predict_by_feat(
        mask_preds=[mean],
        results_list=[
            InstanceData(
                bboxes=boxes * scale, labels=found.pred_instances.labels
            )
        ],
        batch_img_metas=[found.metainfo],
        rcnn_test_cfg=model.roi_head.test_cfg,
        rescale=True,
        activate_map=True,
    )
    differ = found.pred_instances.masks != expected.masks
    assert expected.masks.any() and differ.float().mean() < 1e-4


def probabilities_of(model, images, boxes):
    """Mask probabilities of boxes in image pixels, from the parts."""
    batch = make_views(images, (SCALE, None))
    batch = model.data_preprocessor({key: batch[key][0] for key in batch})
    roi_head, scale = model.roi_head, batch['data_samples'][0].scale_factor
    boxes = boxes * boxes.new_tensor(scale).repeat(2)
    rois = torch.cat([boxes.new_zeros(len(boxes), 1), boxes], 1)
    with torch.no_grad():
        pyramid = model.extract_feat(batch['inputs'])
        heads, extractors = roi_head.mask_head, roi_head.mask_roi_extractor
        if not isinstance(heads, nn.ModuleList):
            return heads(extractors(pyramid[:4], rois)).sigmoid()
        features = [extractor(pyramid[:4], rois) for extractor in extractors]
        if not hasattr(roi_head, 'semantic_head'):
            maps = [
                head(feature).sigmoid()
                for head, feature in zip(heads, features, strict=True)
            ]
            return torch.stack(maps).mean(0)
        _, semantic = roi_head.semantic_head(pyramid)
        feature = features[-1] + roi_head.semantic_roi_extractor(
            [semantic], rois
        )
        flow, stages = None, []
        for head in heads:
            maps, flow = head(feature, flow)
            stages.append(maps.sigmoid())
        if isinstance(roi_head, StageMeanHTCRoIHead):
            return torch.stack(stages).mean(0)
        return stages[-1]


@pytest.mark.parametrize('base', ['MaskRCNN', 'HybridTaskCascade'])
def test_several_images(base):
    model = make_detector(base)
    images = make_images(3)
    views = (SCALE, 'horizontal'), (SCALE, None), (OWN, None)
    together = merged(model, images, *views)
    alone = [merged(model, [image], *views)[0] for image in images]
    assert_close(together, alone)
    assert [one.img_id for one in together] == [0, 1, 2]
    # It is the sample of the first view that is not flipped.
    assert not together[0].flip


def test_config_holds():
    model = make_detector('MaskRCNN', score_thr=0.3, max_per_img=4)
    images = make_images()
    views = (SCALE, None), (OWN, None)
    for sample in merged(model, images, *views):
        found = sample.pred_instances
        assert len(found) == 4 and (found.scores > 0.3).all()
    own = dict(score_thr=0.25, max_per_img=6)
    for sample in merged(model, images, *views, tta_cfg=own):
        assert len(sample.pred_instances) == 6


@pytest.mark.parametrize('base', WITH_MASKS)
def test_images_without_detections(base):
    model = make_detector(base, score_thr=0.999)
    views = (SCALE, None), (SCALE, 'horizontal')
    for sample in merged(model, make_images(), *views):
        found = sample.pred_instances
        assert found.bboxes.shape == (0, 4)
        assert found.masks.shape == (0, 65, 97)
        assert found.labels.dtype == torch.long


@pytest.mark.parametrize('base', DETECTORS[:4])
@pytest.mark.parametrize('which', ['view', 'image', 'all'])
def test_no_proposals(base, which, monkeypatch):
    model = make_detector(base)
    calls = []
    original = model.rpn_head.predict

    def sometimes(*args, **kwargs):
        found = original(*args, **kwargs)
        empty = dict(view=len(calls) == 1, image=True, all=True)[which]
        calls.append(found)
        last = None if which == 'image' else len(found)
        if empty:
            found[: last or 1] = [one[:0] for one in found[: last or 1]]
        return found

    monkeypatch.setattr(model.rpn_head, 'predict', sometimes)
    images = make_images()
    views = (SCALE, None), (SCALE, 'horizontal')
    found = merged(model, images, *views)
    numbers = [len(sample.pred_instances) for sample in found]
    assert [number > 0 for number in numbers] == dict(
        view=[True, True], image=[False, True], all=[False, False]
    )[which]
    if base != 'FasterRCNN':
        for sample, number in zip(found, numbers, strict=True):
            assert sample.pred_instances.masks.shape == (number, 65, 97)


def test_htc_without_semantic_head():
    model = make_detector('HybridTaskCascade')
    images = make_images()
    views = (SCALE, None), (SCALE, None)
    with_semantic = merged(model, images, *views)[0].pred_instances
    model.roi_head.semantic_head = None
    model.rpn_head.test_cfg.nms.iou_threshold = 0.99
    found = merged(model, images, *views)
    assert_close(found, predict(model, images, SCALE))
    scores = found[0].pred_instances.scores
    assert scores.tolist() != with_semantic.scores.tolist()


def test_assisted_detector():
    backbone = tiny_composite()
    plain = make_detector('MaskRCNN', backbone)
    cfg = tiny_detector('MaskRCNN', backbone)
    cfg['test_cfg'] = plain.test_cfg
    cfg.update(type='AssistedDetector', base='MaskRCNN')
    assisted = build_model(cfg)
    assisted.load_state_dict(plain.state_dict())
    assisted.eval()
    images = make_images()
    views = (SCALE, None), (SCALE, 'horizontal')
    assert_identical(
        merged(assisted, images, *views), merged(plain, images, *views)
    )
