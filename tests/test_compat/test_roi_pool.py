"""roi_pool through mmcv.ops.

Scenarios: a float64 loop over pixels, regions inside, across and outside the
map, thinner than a pixel and turned inside out; gradcheck; equal maxima; no
regions; float16 and bfloat16, also under autocast; maps that are not
contiguous; mmdet's RoI extractor.
"""

import itertools
import math

import pytest
import torch
from mmcv.ops import RoIPool, roi_pool
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor

SIZE, SCALE = (3, 4), 0.5


def random_case(seed):
    """A map (2, 3, 9, 11) and regions, in pixels of twice its size."""
    g = torch.Generator().manual_seed(seed)
    features = torch.randn(2, 3, 9, 11, generator=g).double()
    corner = torch.rand(6, 2, generator=g) * 14 - 2
    size = torch.rand(6, 2, generator=g) * 12
    image = torch.randint(0, 2, (6, 1), generator=g).float()
    random = torch.cat([image, corner, corner + size], 1)
    special = torch.tensor(
        [
            [1.0, 2, 4, 9, 11],  # whole pixels
            [0.0, -40, -30, 60, 50],  # beyond the map on every side
            [1.0, 50, 50, 70, 60],  # outside
            [1.0, 6, 5, 6, 5],  # one pixel of the input
            [0.0, 6.5, 5, 5.8, 9],  # x2 + 1 is right of x1
            [1.0, 9, 5, 8, 9],  # x2 + 1 is x1
            [1.0, 3, 9, 8, 2],  # upside down
        ]
    ).double()
    return features, torch.cat([random.double(), special])


def loop(features, rois):
    """Return pooled features, and the place of each maximum or None."""
    channels, height, width = features.shape[1:]
    shape = (len(rois), channels, *SIZE)
    out, places = torch.zeros(shape).double(), {}
    for k, c, i, j in itertools.product(*map(range, shape)):
        image, x1, y1, x2, y2 = rois[k].tolist()
        x1, y1 = x1 * SCALE, y1 * SCALE
        across, down = (x2 + 1) * SCALE - x1, (y2 + 1) * SCALE - y1
        if across <= 0 or down <= 0:
            continue
        rows = range(
            max(math.floor(y1 + i * down / SIZE[0]), 0),
            min(math.ceil(y1 + (i + 1) * down / SIZE[0]), height),
        )
        columns = range(
            max(math.floor(x1 + j * across / SIZE[1]), 0),
            min(math.ceil(x1 + (j + 1) * across / SIZE[1]), width),
        )
        pixels = list(itertools.product(rows, columns))
        if pixels:
            plane = features[int(image), c]
            best = max(pixels, key=lambda pixel: plane[pixel].item())
            out[k, c, i, j] = plane[best]
            places[k, c, i, j] = (int(image), c, *best)
    return out, places


@pytest.mark.parametrize('seed', range(3))
def test_equals_loop(seed):
    features, rois = random_case(seed)
    # Small whole numbers: many pixels share the maximum.
    features = (features * 2).round().requires_grad_()
    out = roi_pool(features, rois, SIZE, SCALE)
    weight = torch.randn(out.shape).double()
    (out * weight).sum().backward()
    want, places = loop(features.detach(), rois)
    assert torch.equal(out, want)
    grad = torch.zeros_like(features)
    for index, place in places.items():
        grad[place] += weight[index]
    torch.testing.assert_close(features.grad, grad)
    narrow = roi_pool(features.float(), rois.float(), SIZE, SCALE)
    assert torch.equal(narrow, want.float())


def test_gradcheck():
    features, rois = random_case(seed=3)
    assert torch.autograd.gradcheck(
        lambda x: roi_pool(x, rois, SIZE, SCALE), features.requires_grad_()
    )


def test_bins_are_not_rounded_to_pixels_first():
    # torchvision's own rule rounds this region to the pixels 1 to 2.
    features = torch.arange(5.0).expand(1, 1, 5, 5)
    rois = torch.tensor([[0, 0.6, 0.6, 2.4, 2.4]])
    assert roi_pool(features, rois, 1).item() == 3
    assert roi_pool(features, rois, (1, 2)).flatten().tolist() == [1, 3]


def test_no_regions():
    features = torch.randn(2, 3, 9, 11, requires_grad=True)
    out = roi_pool(features, torch.zeros(0, 5), (7, 5))
    assert out.shape == (0, 3, 7, 5)
    out.sum().backward()
    assert not features.grad.any()


@pytest.mark.parametrize('autocast', [False, True])
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_narrow_maps(dtype, autocast):
    features, rois = random_case(seed=4)
    features, rois = features.to(dtype), rois.to(dtype)
    exact = features.double().requires_grad_()
    want = roi_pool(exact, rois.double(), SIZE, SCALE)
    want.sum().backward()
    features.requires_grad_()
    with torch.autocast('cpu', dtype=dtype, enabled=autocast):
        out = roi_pool(features, rois, SIZE, SCALE)
    out.sum().backward()
    assert out.dtype == features.grad.dtype == dtype
    assert torch.equal(out.double(), want)
    assert torch.equal(features.grad.double(), exact.grad)


def test_maps_that_are_not_contiguous():
    features, rois = random_case(seed=5)
    strided = features.to(memory_format=torch.channels_last)
    layer = RoIPool(SIZE, SCALE)
    want = layer(features.requires_grad_(), rois)
    out = layer(strided.requires_grad_(), rois)
    weight = torch.randn(*SIZE, *want.shape[:2]).double().permute(2, 3, 0, 1)
    (want * weight).sum().backward()
    (out * weight).sum().backward()
    assert torch.equal(out, want)
    torch.testing.assert_close(strided.grad, features.grad)


def test_extractor_of_mmdet():
    extractor = SingleRoIExtractor(
        roi_layer=dict(type='RoIPool', output_size=7),
        out_channels=4,
        featmap_strides=[4, 8],
    )
    maps = [torch.rand(2, 4, 64 // s, 96 // s) + 1 for s in (4, 8)]
    maps = [one.requires_grad_() for one in maps]
    rois = torch.tensor([[0.0, 4, 4, 40, 50], [1.0, 0, 0, 90, 60]])
    out = extractor(maps, rois)
    assert out.shape == (2, 4, 7, 7)
    assert (out >= 1).all()
    out.sum().backward()
    assert maps[0].grad.sum().round() == out.numel()
