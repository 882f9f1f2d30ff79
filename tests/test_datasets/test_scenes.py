"""The scenes of the generated data set: what is painted, and what is masked.

Scenarios: a mask is exactly what was painted and not covered; outlines have
the requested area; shapes overlap and reach over the border, but stay visible
enough; they stand out from what lies below.
"""

import cv2
import numpy as np
import pytest

from cbnet.datasets.generated import scenes
from cbnet.datasets.generated.outlines import CLASS_OUTLINES, coverage, pose
from cbnet.datasets.generated.textures import colour_distance

SIZE = (320, 256)


@pytest.fixture(scope='module')
def drawn():
    return [
        scenes.make_scene(np.random.default_rng([5, i]), SIZE)
        for i in range(60)
    ]


@pytest.mark.parametrize('axis', [0, 1])
def test_masks_end_where_the_image_changes(drawn, axis):
    """A pixel inside and outside of the border, the image changes far less.

    Masks that are a pixel off fail, and so do masks that end at a coverage
    other than one half.
    """
    change = {shift: [] for shift in (-1, 0, 1)}
    for scene in drawn:
        numbers = np.arange(1, len(scene.labels) + 1)
        assert scene.masks.sum(axis=0).max() == 1
        owner = np.einsum('n,nhw->hw', numbers, scene.masks)
        border = np.diff(owner, axis=axis) != 0
        steps = np.abs(np.diff(scene.image.astype(int), axis=axis)).sum(axis=2)
        for shift, found in change.items():
            found.append(steps[np.roll(border, shift, axis)])
    inside, at_border, outside = (
        np.concatenate(change[shift]).mean() for shift in (-1, 0, 1)
    )
    assert at_border > 2.5 * max(inside, outside)


@pytest.mark.parametrize('name', list(CLASS_OUTLINES))
@pytest.mark.parametrize('side', [16.0, 120.0])
def test_outlines_cover_the_requested_area(name, side):
    angle = np.pi / 5
    alpha = coverage(pose(CLASS_OUTLINES[name], side, angle, stretch=1.1))
    # OpenCV also fills the line around a polygon, an eighth of a pixel.
    assert alpha.sum() == pytest.approx(side**2, rel=0.8 / side)
    assert not (alpha[[0, -1]].any() or alpha[:, [0, -1]].any())
    middle = alpha[alpha.shape[0] // 2, alpha.shape[1] // 2]
    if name in ('ring', 'cross'):
        assert middle == (name == 'cross')


def test_shapes_overlap_and_reach_over_the_border(drawn):
    parts, overlapped, cut = [], [], []
    for scene in drawn:
        visible = scene.masks.sum(axis=(1, 2)) / scene.full_areas
        border = np.concatenate(
            [scene.masks[:, [0, -1]], scene.masks[:, :, [0, -1]].mT], axis=2
        ).any(axis=(1, 2))
        parts.append(visible)
        overlapped.append((visible < 0.95) & ~border)
        cut.append((visible < 0.95) & border)
    parts = np.concatenate(parts)
    assert parts.min() >= scenes.MIN_VISIBLE
    assert parts.max() == 1
    assert np.concatenate(overlapped).mean() > 0.07
    assert np.concatenate(cut).mean() > 0.1


def test_shapes_stand_out_from_what_lies_below(drawn):
    """Just inside its rim a shape differs from just outside its shadow."""

    def grown(mask, by):
        square = np.ones((2 * abs(by) + 1,) * 2)
        change = cv2.dilate if by > 0 else cv2.erode
        return change(mask.astype(np.uint8), square).astype(bool)

    gaps = []
    for scene in drawn:
        image = scene.image.astype(np.float32)
        for mask in scene.masks:
            inner = grown(mask, -2) & ~grown(mask, -5)
            outer = grown(mask, 5) & ~grown(mask, 3)
            if inner.sum() > 20:
                means = [image[band].mean(axis=0) for band in (inner, outer)]
                gaps.append(colour_distance(*means))
    assert len(gaps) > 200
    assert np.quantile(gaps, 0.02) > 40
