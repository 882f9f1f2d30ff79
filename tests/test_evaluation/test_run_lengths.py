"""Run lengths from where columns change are those of pycocotools.

Of random masks of every size, empty and full ones, and parts of an image at
its edges, also by the code for other devices; decoded, they are the masks.
"""

import numpy as np
import pytest
import torch
from mmdet.structures.mask import encode_mask_results

from cbnet.evaluation import run_lengths
from cbnet.evaluation.run_lengths import decode_masks, encode_masks


@pytest.fixture(params=['numpy', 'device'])
def code(request, monkeypatch):
    if request.param == 'device':
        usual = run_lengths._changes_on_device
        monkeypatch.setattr(run_lengths, '_changes', usual)


def random_masks(generator, most=8):
    number, height, width = generator.integers(1, most, 3)
    share = generator.uniform(-0.2, 1.2)
    drawn = generator.random((number, height, width)) < share
    return torch.from_numpy(drawn)


def test_like_pycocotools(code):
    generator = np.random.default_rng(0)
    full = empty = 0
    for _ in range(200):
        masks = random_masks(generator)
        found = encode_masks(masks)
        assert found == encode_mask_results(masks.numpy())
        assert (decode_masks(found, masks.shape[1:]) == masks.numpy()).all()
        full, empty = full + bool(masks.all()), empty + (not masks.any())
    assert full > 10 and empty > 10


def test_parts_of_an_image(code):
    generator = np.random.default_rng(1)
    for _ in range(200):
        masks = random_masks(generator)
        above, below, left, right = generator.integers(0, 3, 4).tolist()
        whole = torch.nn.functional.pad(masks, (left, right, above, below))
        found = encode_masks(masks, tuple(whole.shape[1:]), (above, left))
        assert found == encode_mask_results(whole.numpy())


def test_no_masks(code):
    assert encode_masks(torch.zeros(0, 4, 5, dtype=torch.bool)) == []
    assert decode_masks([], (4, 5)).shape == (0, 4, 5)
