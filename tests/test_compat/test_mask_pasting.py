"""Masks of boxes outside of the image are pasted on the CPU as on CUDA.

1. A box beyond any side, and an inverted one, gives the mask that pasting
   into the whole image gives, as mmdet does on CUDA.
2. What mmdet can paste is pasted by it, into the surroundings of the box.
"""

import pytest
import torch
from mmdet.models.roi_heads.mask_heads.fcn_mask_head import _do_paste_mask

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
