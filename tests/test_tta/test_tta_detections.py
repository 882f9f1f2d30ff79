"""MaskTTAModel where final detections are merged, and what it refuses.

1. This is done for detectors without proposals, and for RoI heads that
   predict in their own way.
2. A box that two views find stays once, with the better score and the mask
   of its view, flipped back.  The detector does not learn of a flip.
3. A single view needs no NMS.  Several views need one, from the detector's
   test_cfg or from tta_cfg.
4. Boxes of detections that have masks alone enclose the masks, so that the
   same object in two views stays once.
5. A detector without instances, and views that do not say how they were
   made, are refused.
"""

import pytest
import torch
from mmdet.models.roi_heads import CascadeRoIHead, StandardRoIHead
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.model import BaseModel
from mmengine.structures import InstanceData

from cbnet.testing import build_model, tiny_detector
from cbnet.tta import MaskTTAModel
from cbnet.tta.views import views_are_averaged

from .tta_views import DETECTORS, make_detector, make_images, make_views

WIDTH, HEIGHT = 97, 65
OWN = (WIDTH, HEIGHT)
NMS = dict(nms=dict(type='nms', iou_threshold=0.5), max_per_img=3)


class Fixed(BaseModel):
    """Finds given instances, the next in each view, flipped or not."""

    def __init__(self, *found, test_cfg=None):
        super().__init__()
        self.test_cfg = ConfigDict(test_cfg or {})
        self.found = list(found)

    def forward(self, inputs, data_samples, mode):
        (sample,) = data_samples
        assert not sample.flip
        assert sample.flip_direction is None
        found = self.found.pop(0)
        if found is not None:
            sample.pred_instances = found
        return data_samples


def instances(*boxes, masks=False):
    """Instances from (x1, y1, x2, y2, score, label)."""
    rows = torch.tensor(boxes, dtype=torch.float).view(-1, 6)
    found = InstanceData(
        bboxes=rows[:, :4], scores=rows[:, 4], labels=rows[:, 5].long()
    )
    if masks:
        found.masks = torch.zeros(len(rows), HEIGHT, WIDTH, dtype=torch.bool)
        for mask, (x1, y1, *_) in zip(found.masks, boxes, strict=True):
            mask[y1 + 2, x1 + 1] = True
    return found


def merge(*found, views, **options):
    test_cfg = options.pop('test_cfg', NMS)
    model = Fixed(*found, test_cfg=test_cfg)
    views = [(OWN, flip) for flip in views]
    data = make_views(make_images(1), *views)
    (sample,) = MaskTTAModel(module=model, **options).test_step(data)
    return sample


def rows(found):
    keys = (found.bboxes.tolist(), found.scores.tolist())
    return [
        (*box, round(score, 4), label)
        for box, score, label in zip(*keys, found.labels.tolist(), strict=True)
    ]


def test_which_detectors():
    kinds = [views_are_averaged(make_detector(base)) for base in DETECTORS]
    assert dict(zip(DETECTORS, kinds, strict=True)) == dict(
        FasterRCNN=True,
        MaskRCNN=True,
        CascadeRCNN=True,
        HybridTaskCascade=True,
        DualSwinL=True,
        RetinaNet=False,
    )


@pytest.mark.parametrize(
    ('base', 'roi_head'),
    [('MaskRCNN', StandardRoIHead), ('CascadeRCNN', CascadeRoIHead)],
)
def test_roi_heads_that_predict_in_their_own_way(base, roi_head):
    model = build_model(tiny_detector(base))

    class SameWay(roi_head):
        def bbox_loss(self, *args):
            return {}

    class OwnMasks(roi_head):
        def predict_mask(self, *args, **kwargs):
            return super().predict_mask(*args, **kwargs)

    model.roi_head.__class__ = SameWay
    assert views_are_averaged(model)
    model.roi_head.__class__ = OwnMasks
    assert not views_are_averaged(model)
    model.eval()
    data = make_views(make_images(1), (OWN, None), (OWN, 'horizontal'))
    (sample,) = MaskTTAModel(module=model).test_step(data)
    assert sample.pred_instances.masks.shape[1:] == (HEIGHT, WIDTH)


@pytest.mark.parametrize('masks', [False, True])
def test_selection(masks):
    plain = instances((10, 8, 40, 30, 0.6, 1), (50, 5, 90, 60, 0.5, 0))
    mirrored = instances(
        (WIDTH - 41, 8, WIDTH - 11, 30, 0.8, 1),  # the first one, better
        (0, 40, 20, 60, 0.9, 2),
        (WIDTH - 90, 5, WIDTH - 50, 60, 0.4, 1),  # of another class
    )
    if masks:
        plain, mirrored = (
            instances(*[tuple(map(num, r)) for r in rows(f)], masks=True)
            for f in (plain, mirrored)
        )
    # Listed first: the sample to keep is still the one that is not flipped.
    sample = merge(mirrored, plain, views=('horizontal', None))
    assert not sample.flip and sample.flip_direction is None
    found = sample.pred_instances
    assert rows(found) == [
        (77, 40, 97, 60, 0.9, 2),
        (11, 8, 41, 30, 0.8, 1),
        (50, 5, 90, 60, 0.5, 0),
    ]
    assert ('masks' in found) == masks
    if masks:
        # One pixel each, beside the corner that was the upper left one.
        assert found.masks.nonzero().tolist() == [
            [0, 42, 95],
            [1, 10, 39],
            [2, 7, 51],
        ]


def num(value):
    return int(value) if float(value).is_integer() else value


@pytest.mark.parametrize('direction', ['vertical', 'diagonal'])
def test_other_flips(direction):
    found = instances((10, 8, 40, 30, 0.6, 1), masks=True)
    sample = merge(found, views=[direction])
    x = (57, 87) if direction == 'diagonal' else (10, 40)
    assert rows(sample.pred_instances) == [(x[0], 35, x[1], 57, 0.6, 1)]
    column = WIDTH - 1 - 11 if direction == 'diagonal' else 11
    assert sample.pred_instances.masks.nonzero().tolist() == [
        [0, HEIGHT - 1 - 10, column]
    ]


def test_nothing_found():
    views = (None, 'horizontal')
    sample = merge(instances(masks=True), instances(masks=True), views=views)
    assert sample.pred_instances.masks.shape == (0, HEIGHT, WIDTH)
    one = instances((10, 8, 40, 30, 0.6, 1))
    sample = merge(one, instances(), views=views)
    assert rows(sample.pred_instances) == [(10, 8, 40, 30, 0.6, 1)]


def test_detector_without_nms():
    one = (10, 8, 40, 30, 0.6, 1)
    found = merge(instances(one), views=[None], test_cfg={}).pred_instances
    assert len(found) == 1
    twice = [instances(one), instances(one)]
    with pytest.raises(ValueError, match='tta_cfg=dict') as error:
        merge(*twice, views=(None, None), test_cfg=dict(max_per_img=300))
    assert 'nms' in str(error.value)
    twice = [instances(one), instances(one)]
    sample = merge(*twice, views=(None, None), test_cfg={}, tta_cfg=NMS)
    assert len(sample.pred_instances) == 1


def test_detector_without_instances():
    with pytest.raises(ValueError, match='Fixed predicts no instances'):
        merge(None, views=[None])


@pytest.mark.parametrize('base', ['MaskRCNN', 'RetinaNet'])
def test_views_that_do_not_say_how_they_were_made(base):
    data = make_views(make_images(1), (OWN, None))
    (old,) = data['data_samples'][0]
    keys = ('ori_shape', 'img_shape', 'scale_factor')
    meta = {key: old.metainfo[key] for key in keys}
    data['data_samples'][0] = [DetDataSample(metainfo=meta)]
    model = MaskTTAModel(module=make_detector(base))
    with pytest.raises(ValueError, match='needs flip, flip_direction in'):
        model.test_step(data)


def test_masks_alone():
    plain, mirrored = (
        instances((x, 8, x + 30, 30, score, 1), masks=True)
        for x, score in ((10, 0.6), (WIDTH - 40, 0.7))
    )
    for found, left in ((plain, 10), (mirrored, WIDTH - 40)):
        found.masks[:, 8:30, left : left + 30] = True
        found.bboxes.zero_()  # as mmdet's SOLO
    found = merge(plain, mirrored, views=[None, 'horizontal']).pred_instances
    assert rows(found) == [(10, 8, 40, 30, 0.7, 1)]
