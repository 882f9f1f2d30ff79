"""Images are corrupted in the same way each time, by a stand-in library.

1. The name of the file, the corruption and the level decide the result, and
   nothing else; numpy's global generator goes on as if nothing had happened.
2. The library gets red, green, blue, and a seed where it has own generators.
3. A library that is missing, or is the original one, is one sentence.
"""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from mmdet.registry import TRANSFORMS

from cbnet.datasets.corruption import corruption_library
from cbnet.errors import UserValueError


def corrupted(path='a/1.png', corruption='fog', severity=1, dtype=np.uint8):
    pixels = np.random.default_rng(0).integers(0, 255, (40, 60, 3))
    step = dict(type='SeededCorrupt', corruption=corruption, severity=severity)
    results = dict(img=pixels.astype(dtype), img_path=path)
    return TRANSFORMS.build(step)(results)['img']


def test_the_same_each_time(stand_in_corruptions):
    first = corrupted()
    np.random.seed(7)
    before = np.random.get_state()[1].copy()
    assert (corrupted('b/1.png') == first).all()
    assert (np.random.get_state()[1] == before).all()
    for other in (
        dict(path='a/2.png'), dict(corruption='snow'), dict(severity=2),
    ):  # fmt: skip
        assert (corrupted(**other) != first).any()
    floats = corrupted(dtype=np.float32)
    assert floats.dtype == np.float32 and (floats == first).all()


@pytest.mark.parametrize(
    ('corruption', 'seeded'), [('fog', False), ('glass_blur', True)]
)
def test_what_the_library_gets(stand_in_corruptions, corruption, seeded):
    corrupted(corruption=corruption, severity=4)
    ((name, severity, further, image),) = stand_in_corruptions
    assert (name, severity, 'seed' in further) == (corruption, 4, seeded)
    pixels = np.random.default_rng(0).integers(0, 255, (40, 60, 3))
    assert image.dtype == np.uint8 and (image == pixels[..., ::-1]).all()


@pytest.mark.parametrize(
    ('library', 'sentence'),
    [
        (None, 'which is not installed; run: pip install'),
        (
            SimpleNamespace(corrupt=lambda image, severity=1: image),
            'hidden by the package imagecorruptions, which takes no seed',
        ),
    ],
)
def test_no_library(monkeypatch, library, sentence):
    monkeypatch.setitem(sys.modules, 'imagecorruptions', library)
    with pytest.raises(UserValueError, match=sentence):
        corruption_library()
