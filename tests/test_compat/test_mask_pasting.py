"""Masks of boxes outside of the image are pasted on the CPU as on CUDA.

1. A box beyond any side, and an inverted one, gives the mask that pasting
   into the whole image gives, as mmdet does on CUDA.
2. What mmdet can paste is pasted by it, into the surroundings of the box.
3. A head that hands its masks over gives those of mmdet, to the last bit:
   of boxes of every size and place, rescaled or not, with any threshold,
   for one class and for several, of probabilities too; and the same boxes.
4. So does the code for GPUs, in chunks.
"""

import pytest
import torch
from mmdet.models.roi_heads.mask_heads import FCNMaskHead, fcn_mask_head
from mmdet.models.roi_heads.mask_heads.fcn_mask_head import _do_paste_mask
from mmdet.structures.mask import encode_mask_results
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData

from cbnet.compat import mask_pasting
from cbnet.compat.mask_pasting import can_hand_over, hand_over
from cbnet.evaluation.run_lengths import encode_masks

OUTSIDE = {
    'right': [40, 2, 50, 8],
    'left': [-30, 2, -20, 8],
    'above': [2, -30, 8, -20],
    'below': [2, 40, 8, 50],
    'inverted': [20, 2, 4, 8],
    'far inverted': [90, 90, -90, -90],
}


@pytest.mark.parametrize('place', OUTSIDE)
def test_boxes_outside(place):
    masks = torch.rand(1, 1, 7, 7, generator=torch.manual_seed(0)) + 0.5
    box = torch.tensor([OUTSIDE[place]]).float()
    want, _ = _do_paste_mask(masks, box, 24, 32, skip_empty=False)
    found, where = _do_paste_mask(masks, box, 24, 32, skip_empty=True)
    assert where == () and torch.equal(found, want)
    assert want.any() == ('inverted' in place)


def test_boxes_inside_stay_small():
    masks = torch.ones(1, 1, 7, 7)
    box = torch.tensor([[3.5, -2.0, 9.0, 8.0]])
    found, where = _do_paste_mask(masks, box, 24, 32, skip_empty=True)
    assert where == (slice(0, 9), slice(2, 10))
    assert found.shape == (1, 9, 8) and found.any()


SIZE = (23, 31)


def random_boxes(generator, number):
    """Boxes in, across and outside the image, some without an area."""
    centres = torch.rand(number, 2, generator=generator) * 60 - 15
    sides = torch.rand(number, 2, generator=generator) ** 2 * 50
    boxes = torch.cat([centres - sides / 2, centres + sides / 2], 1)
    boxes[::5, 2:] = boxes[::5, :2]
    boxes[::7] = boxes[::7].round() + 0.5
    boxes[1::9, 0], boxes[1::9, 2] = boxes[1::9, 2], boxes[1::9, 0].clone()
    boxes[2] = torch.tensor([-1.0, -1, SIZE[1] + 1, SIZE[0] + 1])
    return boxes


def make_head(**options):
    return FCNMaskHead(num_convs=0, in_channels=4, num_classes=3, **options)


def predict(head, seed, threshold, rescale, **options):
    generator = torch.manual_seed(seed)
    number = 60
    maps = torch.randn(
        number, 1 if head.class_agnostic else 3, 7, 9, generator=generator
    )
    if options.get('activate_map'):
        maps = maps.sigmoid()
    found = InstanceData(
        bboxes=random_boxes(generator, number),
        labels=torch.randint(3, (number,), generator=generator),
    )
    meta = dict(ori_shape=SIZE, scale_factor=(1.3, 0.9))
    cfg = ConfigDict(mask_thr_binary=threshold)
    (found,) = head.predict_by_feat(
        [maps], [found], [meta], cfg, rescale, **options
    )
    return found


@pytest.mark.parametrize('options', [{}, dict(activate_map=True)])
@pytest.mark.parametrize('rescale', [True, False])
@pytest.mark.parametrize('threshold', [0.0, 0.3, 0.5])
@pytest.mark.parametrize('agnostic', [True, False])
def test_handed_over(agnostic, threshold, rescale, options):
    head = make_head(class_agnostic=agnostic)
    assert can_hand_over(head)
    for seed in range(3):
        want = predict(head, seed, threshold, rescale, **options)
        assert want.masks.any()
        end = hand_over(head, encode_masks)
        found = predict(head, seed, threshold, rescale, **options)
        end()
        assert found.masks == encode_mask_results(want.masks.numpy())
        assert torch.equal(found.bboxes, want.bboxes)
    assert torch.is_tensor(predict(head, 0, threshold, rescale).masks)


def test_grey_values_stay_images():
    head = make_head()
    want = predict(head, 0, -1, True).masks
    hand_over(head, encode_masks)
    assert torch.equal(predict(head, 0, -1, True).masks, want)


def test_chunks(monkeypatch):
    monkeypatch.setattr(fcn_mask_head, 'GPU_MEM_LIMIT', 9 * 4 * 23 * 31)
    monkeypatch.setattr(mask_pasting, '_one_by_one', mask_pasting._in_chunks)
    monkeypatch.setattr(
        fcn_mask_head,
        '_do_paste_mask',
        lambda *args, skip_empty: _do_paste_mask(*args, skip_empty=False),
    )
    head = make_head()
    want = predict(head, 0, 0.5, True).masks
    seen = []

    def encode(bits, size, corner):
        seen.append(len(bits))
        assert corner == (0, 0) and bits.shape[1:] == size
        return encode_masks(bits, size, corner)

    hand_over(head, encode)
    found = predict(head, 0, 0.5, True).masks
    assert found == encode_mask_results(want.numpy())
    assert len(seen) > 1 and sum(seen) == 60


def test_a_head_of_its_own():
    class Other(FCNMaskHead):
        def _predict_by_feat_single(self, *args, **options):
            return 0

    assert not can_hand_over(Other(num_convs=0, in_channels=4))
    assert not can_hand_over(torch.nn.Conv2d(1, 1, 1))
