"""Images that one member sees with a mean and std of its own.

1. it computes the maps of images that were normalised for it, whatever the
   detector's normalisation and order of channels;
2. the detector hands its normalisation over when it takes the composite;
3. equal normalisations change nothing, to the last bit;
4. what does not determine a normalisation is one sentence.
"""

import copy

import pytest
import torch

from cbnet.testing import (
    TINY_MEMBERS,
    build_model,
    make_batch,
    tiny_detector,
)

PIXELS = torch.randint(0, 256, (2, 3, 64, 96)).float()  # BGR, as mmdet reads
RGB = dict(
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
)
CAFFE = dict(mean=[103.53, 116.28, 123.675], std=[1.0] * 3, bgr_to_rgb=False)
NONE = dict(mean=None, std=None, bgr_to_rgb=False)
CLIP = dict(
    mean=[122.7709383, 116.7460125, 104.09373615],
    std=[68.5005327, 66.6321579, 70.32316305],
)
HALF = dict(mean=[127.5] * 3, std=[127.5] * 3)


def normalised(pixels, mean, std, bgr_to_rgb=True):
    images = pixels.flip(1) if bgr_to_rgb else pixels
    if mean is None:
        return images
    mean, std = (torch.tensor(n)[:, None, None] for n in (mean, std))
    return (images - mean) / std


def composite(preprocess, name='resnet'):
    member = dict(
        type='Member', backbone=TINY_MEMBERS[name], preprocess=preprocess
    )
    return dict(
        type='CompositeBackbone',
        member=[copy.deepcopy(member), TINY_MEMBERS['resnet']],
        shared_stages=None,
    )


def detector(preprocess, of=RGB, name='resnet'):
    cfg = tiny_detector('RetinaNet', composite(preprocess, name))
    cfg['data_preprocessor'].update(of)
    return build_model(cfg).eval()


def first_maps(joined, images):
    adapter = joined.adapters[0]
    outputs = adapter.run(images, lambda *_: None, 4).outputs
    return [adapter.emit(i, outputs[i]) for i in range(4)]


@pytest.mark.parametrize('of', [RGB, CAFFE, NONE], ids=['rgb', 'bgr', 'none'])
@pytest.mark.parametrize(
    ('preprocess', 'name', 'own'),
    [
        ('clip', 'swin', CLIP),
        ('imagenet', 'resnet', RGB),
        ('timm', 'timm_efficientnet', RGB),
        ('timm', 'timm_vit', HALF),
        (dict(mean=[1.0, 2, 3], std=[4.0, 5, 6]), 'resnet', None),
        (dict(CAFFE, bgr_to_rgb=None, rgb=False), 'resnet', CAFFE),
    ],
    ids=['clip', 'imagenet', 'timm', 'timm_vit', 'given', 'bgr'],
)
def test_as_fed_with_its_own(preprocess, name, own, of):
    if isinstance(preprocess, dict):
        preprocess = {k: v for k, v in preprocess.items() if k != 'bgr_to_rgb'}
        own = own or preprocess
    model = detector(preprocess, of, name)
    given = model.data_preprocessor(dict(inputs=list(PIXELS.byte())))['inputs']
    torch.testing.assert_close(given, normalised(PIXELS, **of))
    adapter = model.backbone.adapters[0]
    expected = normalised(PIXELS, **own)
    torch.testing.assert_close(
        adapter.see(given), expected, rtol=1e-4, atol=1e-4
    )
    for found, y in zip(
        first_maps(model.backbone, given),
        model.backbone.members[0](expected),
        strict=True,
    ):
        torch.testing.assert_close(found, y, rtol=1e-3, atol=2e-3)
    told = build_model(composite(_told(preprocess, of), name))
    assert torch.equal(told.adapters[0].see(given), adapter.see(given))


def _told(preprocess, of):
    if isinstance(preprocess, str):
        preprocess = dict(like=preprocess)
    # The whole config of a data preprocessor may be given.
    return dict(preprocess, of=dict(of, type='DetDataPreprocessor'))


def test_only_this_member_sees_it():
    model = detector('clip', NONE)
    plain = copy.deepcopy(model.backbone.members[1])
    assert all(map(torch.equal, model.backbone(PIXELS), plain(PIXELS)))


def test_equal_normalisations_change_nothing():
    model = detector('imagenet', RGB)
    images = normalised(PIXELS, **RGB)
    assert model.backbone.adapters[0].see(images) is images


def test_a_detector_that_is_put_together_later():
    model = detector('clip', CAFFE)
    adapter = model.backbone.adapters[0]
    before = adapter.see(PIXELS)
    model.data_preprocessor = detector('clip', RGB).data_preprocessor
    assert not torch.equal(before, adapter.see(PIXELS))
    model.backbone = build_model(composite('clip'))
    expected = model.backbone.adapters[0].see(PIXELS)
    assert torch.equal(adapter.see(PIXELS), expected)
    twin = copy.deepcopy(model).backbone.adapters[0]
    assert torch.equal(twin.see(PIXELS), expected)


def test_what_the_config_says_counts():
    """Also if the detector normalises otherwise."""
    told = detector(dict(like='clip', of=CAFFE), RGB)
    learnt = detector('clip', CAFFE)
    see = told.backbone.adapters[0].see
    assert torch.equal(see(PIXELS), learnt.backbone.adapters[0].see(PIXELS))


def test_a_detector_trains():
    model = detector('clip').train()
    batch = model.data_preprocessor(make_batch(), training=True)
    losses = model.loss(batch['inputs'], batch['data_samples'])
    assert all(torch.stack(loss).isfinite().all() for loss in losses.values())


@pytest.mark.parametrize(
    ('preprocess', 'message'),
    [
        ({}, 'expected either like'),
        (dict(mean=[1.0] * 3), 'expected either like.*mean and std'),
        (dict(like='clip', mean=[1.0] * 3), 'expected either like'),
        (dict(mean=[1.0], std=[2.0]), 'mean=.1.0.; expected three numbers'),
        (dict(mean=[1.0] * 3, std=[0.0] * 3), 'std.*above 0'),
        (dict(like='clip', of=dict(mean=[1])), 'preprocess.of.mean=.1.; exp'),
        (dict(like='clip', of=dict(mean='abc')), "of.mean='abc'; expected"),
        (dict(like='clip', off=RGB), "'off'; did you mean 'of'"),
        ('timm', 'ResNet holds no timm model.*use .imagenet.'),
        (3, 'preprocess=3; expected'),
    ],
)
def test_settings_that_determine_nothing(preprocess, message):
    with pytest.raises((TypeError, ValueError), match=message) as raised:
        build_model(composite(preprocess))
    assert '\n' not in str(raised.value)


def test_a_composite_without_a_detector():
    with pytest.raises(ValueError, match='member 0: preprocess does not know'):
        build_model(composite('clip'))(PIXELS)
