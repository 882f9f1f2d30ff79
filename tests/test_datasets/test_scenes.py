"""The scenes of the generated data set: what is painted, and what is masked.

Scenarios: a mask is exactly what was painted and not covered; outlines have
the area asked for; shapes overlap and leave the picture, yet stay visible
enough; they stand out from what lies below.
"""

import cv2
import numpy as np
import pytest

from cbnet.datasets.generated import scenes
from cbnet.datasets.generated.outlines import (
    CLASS_OUTLINES,
    coverage,
    distractor,
    pose,
)
from cbnet.datasets.generated.textures import colour_distance

SIZE = (320, 256)


@pytest.fixture(scope='module')
def drawn():
    return [
        scenes.make_scene(np.random.default_rng([5, i]), SIZE)
        for i in range(60)
    ]


def test_masks_are_what_was_painted(monkeypatch):
    """Repaint in flat colours on black, then compare every pixel."""
    used, black = [], []

    def next_colour(rng, below, min_distance):
        if black:
            return (black.pop(),) * 2
        # Odd powers, since no mixture of two may look like a third.
        used.append(np.float32(40 * 1.0837 ** len(used)))
        return (np.full(3, used[-1]),) * 2

    def flat(rng, height, width, colours, period):
        return np.broadcast_to(colours[0], (height, width, 3)).copy()

    def unseen(rng):
        black.append(np.zeros(3, np.float32))
        return distractor(rng)

    monkeypatch.setattr(scenes, 'random_colour', lambda rng: np.zeros(3))
    monkeypatch.setattr(scenes, 'contrasting_pair', next_colour)
    monkeypatch.setattr(scenes, 'texture', flat)
    monkeypatch.setattr(scenes, 'distractor', unseen)
    monkeypatch.setattr(scenes, 'companion', lambda rng, colour: colour)
    monkeypatch.setattr(scenes, '_SHADOW', 0.0)
    monkeypatch.setattr(scenes, '_RIM_TONES', (1.0, 1.0))
    monkeypatch.setattr(scenes, '_finish', lambda rng, canvas: canvas)
    compared = 0
    for seed in range(10):
        used.clear()
        scene = scenes.make_scene(np.random.default_rng(seed), SIZE)
        values = scene.image[..., 0]
        assert len(used) == len(scene.labels)
        near = [
            cv2.dilate(m.astype(np.uint8), np.ones((7, 7)))
            for m in scene.masks
        ]
        alone = sum(n.astype(int) for n in near) == 1
        for colour, mask, around in zip(used, scene.masks, near, strict=True):
            painted = np.abs(values - colour) < 1e-4
            assert not (painted & ~mask).any()
            # Its own anti-aliased edge on black: half covered is covered.
            edge = alone & around.astype(bool)
            assert np.array_equal(mask[edge], values[edge] >= colour / 2)
            mixed = edge & (values > 0) & ~painted
            compared += mixed.sum()
    assert compared > 3000


@pytest.mark.parametrize('name', list(CLASS_OUTLINES))
@pytest.mark.parametrize('side', [16.0, 120.0])
def test_outlines_cover_the_area_asked_for(name, side):
    angle = np.pi / 5
    alpha = coverage(pose(CLASS_OUTLINES[name], side, angle, stretch=1.1))
    # OpenCV also fills the line around a polygon, an eighth of a pixel.
    assert alpha.sum() == pytest.approx(side**2, rel=0.8 / side)
    assert not (alpha[[0, -1]].any() or alpha[:, [0, -1]].any())
    middle = alpha[alpha.shape[0] // 2, alpha.shape[1] // 2]
    if name in ('ring', 'cross'):
        assert middle == (name == 'cross')


def test_shapes_overlap_and_leave_the_picture(drawn):
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
