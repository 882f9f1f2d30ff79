"""A small random evaluation: annotations and results with everything in it."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from pycocotools import mask as coco_mask

HEIGHT, WIDTH = 160, 200
CATEGORIES = {20: 'fig', 3: 'nut', 7: 'pea', 9: 'never there'}


def _ellipse(x, y, w, h, corners=14):
    turns = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    points = np.stack([np.cos(turns) * w, np.sin(turns) * h], 1) / 2
    points += (x + w / 2, y + h / 2)
    return [points.round(2).ravel().tolist()]


def _encode(polygons):
    return coco_mask.merge(coco_mask.frPyObjects(polygons, HEIGHT, WIDTH))


def _rle(polygons):
    rle = _encode(polygons)
    return dict(size=rle['size'], counts=rle['counts'].decode())


def _plain(polygons):
    flat = coco_mask.decode(_encode(polygons)).flatten(order='F')
    edges = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *edges, flat.size]).tolist()
    return dict(size=[HEIGHT, WIDTH], counts=[0] * int(flat[0]) + counts)


def _box(rng):
    # small, medium and large ones for COCO
    w, h = rng.uniform(8, 30, 2) * rng.choice([1, 2, 5])
    w, h = min(w, WIDTH - 2), min(h, HEIGHT - 2)
    x, y = rng.uniform(1, WIDTH - w - 1), rng.uniform(1, HEIGHT - h - 1)
    return np.array([x, y, w, h])


def _annotations(rng):
    annotations = []
    for image in range(1, 13):
        # images 4, 8 and 12 have no object
        for _ in range(rng.integers(1, 9) if image % 4 else 0):
            box = _box(rng)
            outline = _ellipse(*box)
            kind = rng.choice(['polygon', 'rle', 'crowd'], p=[0.5, 0.3, 0.2])
            write = dict(polygon=list, rle=_rle, crowd=_plain)[kind]
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=image,
                    category_id=int(rng.choice([3, 7, 20])),
                    bbox=box.round(2).tolist(),
                    area=float(coco_mask.area(_encode(outline))),
                    iscrowd=int(kind == 'crowd'),
                    segmentation=write(outline),
                )
            )
    return annotations


def _detections(rng, annotations):
    found = []
    for truth in annotations:
        # several of each, some of them wrong; scores with ties
        for _ in range(rng.integers(0, 5)):
            jitter = rng.uniform(0.85, 1.15, 4)
            found.append((truth, np.array(truth['bbox']) * jitter))
        # clutter; in one image more than 100 of a class
        number = 60 if truth['image_id'] == 1 else 6
        found += [(truth, _box(rng)) for _ in range(number)]
    return [
        dict(
            image_id=truth['image_id'],
            category_id=truth['category_id'],
            bbox=box.round(2).tolist(),
            score=round(float(rng.uniform(0, 1)), 2),
            segmentation=_rle(_ellipse(*box)),
        )
        for truth, box in found
    ]


@pytest.fixture
def evaluation(tmp_path):
    """Two files, ``ann`` and ``results``, and their content.

    Crowds, images without an object, objects without a detection, a class
    that is not there, polygons, both kinds of run lengths, ties.
    """
    rng = np.random.default_rng(7)
    annotations = _annotations(rng)
    content = dict(
        images=[
            dict(id=i, file_name=f'{i}.png', width=WIDTH, height=HEIGHT)
            for i in range(1, 13)
        ],
        annotations=annotations,
        categories=[dict(id=i, name=n) for i, n in CATEGORIES.items()],
    )
    entries = _detections(rng, annotations)

    def write(content=content, entries=entries):
        for path, what in ((files.ann, content), (files.results, entries)):
            path.write_text(json.dumps(what))
        return files

    files = SimpleNamespace(
        ann=tmp_path / 'ann.json',
        results=tmp_path / 'results.json',
        content=content,
        entries=entries,
        write=write,
    )
    return write()
