"""Shared by all tests: fixed seeds, one thread, a tiny COCO data set."""

import functools
import json
import random
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco_mask

import cbnet  # noqa: F401 (before a test file imports mmdet)

# ruff: noqa: I001
from mmdet.registry import TRANSFORMS
from mmengine.config import utils as config_utils
from mmengine.logging import MMLogger

WIDTH, HEIGHT = 96, 64
CLASSES = ('square', 'triangle')

torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what lasts longest, so that the workers end together."""
    items.sort(
        key=lambda item: (
            item.path.name != 'test_quickstart.py',
            item.path.parent.name != 'test_commands',
        )
    )


@pytest.fixture(autouse=True, scope='session')
def metafiles_are_read_once():
    """Mmengine reads all of mmdet's again for every ``mmdet::`` base."""
    read = config_utils.load
    config_utils.load = functools.cache(read)
    yield
    config_utils.load = read


@pytest.fixture(autouse=True)
def loggers_of_earlier_tests_are_gone():
    """Their streams are closed, and writing to one prints a traceback."""
    MMLogger._instance_dict.clear()


@pytest.fixture(autouse=True)
def mmcv_loads_images():
    """Take back what add_guards() replaces for the whole process."""
    yield
    TRANSFORMS.module_dict.pop('LoadImageFromFile', None)


@pytest.fixture
def readings(monkeypatch):
    """Count how often the content of a JSON file is parsed, by whomever.

    pycocotools, mmengine and this package all go through json's decoder.
    """
    parsed = []
    decode = json.JSONDecoder.decode

    def counted(self, text, *args, **options):
        parsed.append(text)
        return decode(self, text, *args, **options)

    monkeypatch.setattr(json.JSONDecoder, 'decode', counted)
    return lambda path: parsed.count(path.read_text())


@pytest.fixture(autouse=True)
def fixed_seeds():
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture
def stand_in_corruptions(monkeypatch):
    """Put a stand-in for the library of corruptions, which adds noise.

    Gives the arguments of its calls, and the images that it got.
    """
    calls = []

    def corrupt(image, severity=1, corruption_name=None, **kwargs):
        calls.append((corruption_name, severity, kwargs, image.copy()))
        noise = np.random.randint(0, 5, image.shape, np.uint8)
        return image // 2 + noise

    library = SimpleNamespace(corrupt=corrupt)
    monkeypatch.setitem(sys.modules, 'imagecorruptions', library)
    return calls


def _square(x: int, y: int, size: int) -> list[float]:
    return [x, y, x + size, y, x + size, y + size, x, y + size]


def _triangle(x: int, y: int, size: int) -> list[float]:
    return [x, y + size, x + size / 2, y, x + size, y + size]


def _annotation(
    number: int, image: int, category: int, outline: list[float], kind: str
) -> dict:
    """Make an annotation; kind is polygon, rle (a counts string) or crowd."""
    merged = coco_mask.merge(coco_mask.frPyObjects([outline], HEIGHT, WIDTH))
    segmentation = [outline]
    if kind == 'rle':
        counts = merged['counts'].decode()
        segmentation = dict(size=[HEIGHT, WIDTH], counts=counts)
    elif kind == 'crowd':  # COCO writes crowds as plain run lengths
        flat = coco_mask.decode(merged).flatten(order='F')
        edges = np.flatnonzero(np.diff(flat)) + 1
        counts = np.diff([0, *edges, flat.size]).tolist()
        segmentation = dict(size=[HEIGHT, WIDTH], counts=counts)
    return dict(
        id=number,
        image_id=image,
        category_id=category,
        segmentation=segmentation,
        bbox=coco_mask.toBbox(merged).tolist(),
        area=float(coco_mask.area(merged)),
        iscrowd=int(kind == 'crowd'),
    )


def _write_split(root: Path, split: str, objects: list[list[tuple]]) -> None:
    """Write images and one annotation file.

    Args:
        root: the data set.
        split: name of the folder below it and of the annotation file.
        objects: for each image (category, x, y, size, kind) tuples.
    """
    rng = np.random.default_rng(len(objects))
    (root / split).mkdir()
    images, annotations = [], []
    for image, found in enumerate(objects, start=1):
        name = f'{image:03d}.png'
        pixels = rng.integers(0, 128, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        for category, x, y, size, kind in found:
            draw = (_square, _triangle)[category - 1]
            one = _annotation(
                len(annotations) + 1, image, category, draw(x, y, size), kind
            )
            annotations.append(one)
            pixels[y : y + size, x : x + size] += np.uint8(64 * category)
        Image.fromarray(pixels).save(root / split / name)
        images.append(
            dict(id=image, file_name=name, width=WIDTH, height=HEIGHT)
        )
    names = dict(enumerate(CLASSES, start=1))
    content = dict(
        images=images,
        annotations=annotations,
        categories=[dict(id=i, name=name) for i, name in names.items()],
    )
    (root / f'{split}.json').write_text(json.dumps(content))


@pytest.fixture(scope='session')
def tiny_coco(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A COCO data set of four train and two val images.

    Polygons and run lengths, one crowd, one image without an annotation.
    ``root``, ``classes``; below root ``train.json``, ``val.json`` and a
    folder of images for each.
    """
    root = tmp_path_factory.mktemp('tiny_coco')
    train = [
        [(1, 8, 8, 24, 'polygon'), (2, 48, 16, 32, 'rle')],
        [(2, 4, 20, 40, 'polygon')],
        [],
        [(1, 40, 8, 48, 'rle'), (2, 4, 4, 28, 'crowd')],
    ]
    val = [
        [(1, 12, 12, 36, 'polygon'), (2, 56, 24, 24, 'crowd')],
        [(2, 20, 8, 48, 'rle')],
    ]
    _write_split(root, 'train', train)
    _write_split(root, 'val', val)
    return SimpleNamespace(root=root, classes=CLASSES)
