"""Annotation files for Hypothesis: valid ones, and what becomes of them."""

import copy
import math

import numpy as np
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

#: the images that the files describe: name -> (width, height)
IMAGES = {'a.png': (48, 40), 'b.png': (36, 64), 'sub/c.png': (40, 40)}
NAMES = ('cat', 'dog', 'cow')
# What annotation tools, spreadsheets and languages write instead.
ODD = [
    None, True, False, 0, 1, 2, -1, 7, 0.0, 1.0, 2.5, -0.5, 1e-9, 1e30,
    math.nan, math.inf, -math.inf, 2**31, 2**53 + 1, 2**63, -(2**63), 10**30,
    '', ' ', 'x', '0', '3', ' 3 ', '1.0', 'nan', "b'abc'", '\u0000', '\ud800',
    '猫', 'x' * 300, '../a.png', 'a.png/', 'SUB\\c.png', 'sub\\c.png', '.',
    [], [[]], [0], [1, 2, 3, 4], [[1, 1, 9, 1, 9, 9]], [[1, 1, 1, 1, 1, 1]],
    [[None] * 6], [['1', '1', '9', '1', '9', '9']], [[0.1, 0.1, 0.2, 0.1, 0.2,
    0.2]], [0, 0, 0, 0], [1, 1, 0.5, 9], [47.5, 3, 1, 9], [-1, -1, 3, 3],
    ['1', '1', '5', '5'], [1e9, 1, 5, 5], [1, 1, math.nan, 5], {}, {'a': 1},
    {'size': [40, 48], 'counts': [1920]}, {'size': [40, 48], 'counts': [0]},
    {'size': [40, 48], 'counts': [5, 10, 1905]}, {'size': None},
    {'size': [40, 48], 'counts': [5.0, 10.0, 1905.0]},
    {'size': [40.0, 48.0], 'counts': [5, 10, 1905]},
    {'size': [40, 48], 'counts': '5:k'}, {'size': [40, 48], 'counts': None},
    {'size': ['40', '48'], 'counts': [True, 10, 1909]},
]  # fmt: skip
_SEGMENTATIONS = ('box', 'triangle', 'two', 'line', 'list', 'text')


@st.composite
def annotation_files(draw, most=3, changes=2):
    """Draw the content of a file, valid but for some changes."""
    number = draw(st.integers(1, len(IMAGES)))
    first = draw(st.sampled_from([0, 1, 7, 7, 7, -9, 2**63]))
    images = [
        dict(id=first + n, file_name=name, width=size[0], height=size[1])
        for n, (name, size) in enumerate(list(IMAGES.items())[:number])
    ]
    if draw(st.sampled_from([False] * 9 + [True])):
        images[-1]['width'] += 1  # as of a file that was cropped later
    ids = draw(st.sampled_from([(1, 2, 3), (0, 5, 90), (3, 2, 1)]))
    count = draw(st.sampled_from([3, 3, 3, 2]))
    categories = [
        dict(id=i, name=name)
        for i, name in zip(ids[:count], NAMES, strict=False)
    ]
    objects = [
        draw(_objects(images, ids[:count], first + n, crowd=n > 0))
        for n in range(draw(st.integers(1, most)))
    ]
    content = dict(images=images, annotations=objects, categories=categories)
    for _ in range(draw(st.sampled_from(range(changes + 1)))):
        draw(_changes(content))
    return content


@st.composite
def _objects(draw, images, ids, number, crowd):
    image = draw(st.sampled_from(images))
    width, height = image['width'], image['height']
    x, y = draw(st.integers(0, width - 4)), draw(st.integers(0, height - 4))
    w = draw(st.integers(2, min(width - x, 30)))
    h = draw(st.integers(2, min(height - y, 30)))
    shift = draw(st.sampled_from([0, 0, 0.5]))
    box = [x + shift / 2, y, w - shift, h]
    mask = _segmentation(draw(st.sampled_from(_SEGMENTATIONS)), box, image)
    one = dict(
        id=number,
        image_id=image['id'],
        category_id=draw(st.sampled_from(ids)),
        bbox=box,
        area=box[2] * box[3],
        segmentation=mask,
    )
    crowd = draw(st.sampled_from([None, 0, 1] if crowd else [None, 0]))
    return one if crowd is None else one | dict(iscrowd=crowd)


def _segmentation(kind, box, image):
    x, y, w, h = box
    corners = [x, y, x + w, y, x + w, y + h, x, y + h]
    if kind == 'box':
        return [corners]
    if kind == 'triangle':
        return [corners[:6]]
    if kind == 'line':  # covers few pixels or none
        return [[x, y, x + w, y + 0.3, x, y + 0.3]]
    if kind == 'two':
        half = [x, y, x + w / 2, y, x + w / 2, y + h, x, y + h]
        return [half, [v + 1 for v in half]]
    mask = np.zeros((image['height'], image['width']), np.uint8, order='F')
    mask[int(y) : int(y + h), int(x) : int(x + w)] = 1
    rle = coco_mask.encode(mask)
    if kind == 'list':
        flat = mask.flatten(order='F')
        edges = np.flatnonzero(np.diff(flat)) + 1
        counts = np.diff([0, *edges, flat.size]).tolist()
        counts = counts if flat[0] == 0 else [0, *counts]
    else:
        counts = rle['counts'].decode()
    return dict(size=list(mask.shape), counts=counts)


@st.composite
def _changes(draw, content):
    """Change one place of a content, as files of other tools differ."""
    parent, key = draw(_places(content))
    kind = draw(
        st.sampled_from(
            ['odd', 'near', 'near', 'as', 'remove', 'twice', 'add']
        )
    )
    value = parent[key]
    if kind == 'remove':
        del parent[key]
    elif kind == 'twice' and isinstance(parent, list):
        parent.append(copy.deepcopy(value))
        if isinstance(value, dict) and draw(st.booleans()):
            parent[-1]['id'] = draw(st.sampled_from([50, '50', 50.0, -50]))
    elif kind == 'near' and _is_number(value):
        change = draw(st.sampled_from(_NEAR))
        parent[key] = change(value)
    elif kind == 'as':
        parent[key] = _as_other(draw, value)
    elif kind == 'add' and isinstance(parent, dict):
        values = draw(st.sampled_from([ODD, _NUMBERS]))
        parent[draw(st.sampled_from(_KEYS))] = draw(st.sampled_from(values))
    else:
        odd = _NUMBERS if _is_number(value) and draw(st.booleans()) else ODD
        parent[key] = copy.deepcopy(draw(st.sampled_from(odd)))


_NUMBERS = [one for one in ODD if isinstance(one, int | float)]
_NEAR = [
    lambda v: v + 1,
    lambda v: v - 1,
    lambda v: v + 0.5,
    lambda v: v - 0.5,
    lambda v: v * 2,
    lambda v: v / 2,
    lambda v: -v,
    lambda v: v * 100,
    lambda v: v * 1e-3,
    float,
    lambda v: 0,
]
_KEYS = [
    'ignore',
    'ignore',
    'iscrowd',
    'area',
    'id',
    'supercategory',
    'name',
    'score',
]


def _is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool)


def _as_other(draw, value):
    """Write a value in another type: 3 as 3.0, '3', [3] or null."""
    kinds = [str, lambda v: [v], lambda v: {'value': v}, lambda v: None]
    return draw(st.sampled_from(kinds))(value)


@st.composite
def _places(draw, content):
    """Draw a place: mostly a key of an entry, sometimes above or below."""
    lists = [name for name, value in content.items() if value]
    # A file has one of each list, but most keys are those of annotations.
    more = ['annotations', 'annotations', 'images']
    lists += [name for name in more if name in lists]
    parent, key = content, draw(st.sampled_from(lists))
    depth = draw(st.sampled_from([1, 2, 3, 3, 3, 3, 3, 3, 4, 4, 5]))
    for _ in range(depth - 1):
        below = parent[key]
        if not (isinstance(below, dict | list) and below):
            break
        keys = range(len(below)) if isinstance(below, list) else sorted(below)
        parent, key = below, draw(st.sampled_from(keys))
    return parent, key
