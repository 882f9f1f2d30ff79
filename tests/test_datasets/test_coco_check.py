"""Annotation files that are wrong: one sentence each, before training.

- no file, a folder, no JSON, cut short, a list, missing lists;
- every kind of wrong entry, named by its place and id;
- classes that the file does not declare, or in another order;
- several mistakes: the first in full, the others counted, all on request;
- what COCO files do (crowds, run lengths, no masks) is no mistake;
- a file is read once on request, and again after it has changed.
"""

import copy
import json
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from cbnet.datasets.annotations import read_coco, read_once
from cbnet.datasets.coco_check import check_coco, find_problems
from cbnet.datasets.image_sizes import size_problems


@pytest.fixture
def content():
    square = [10, 10, 30, 10, 30, 30, 10, 30]
    return dict(
        images=[
            dict(id=7, file_name='a.png', width=64, height=48),
            dict(id=9, file_name='b.png', width=64, height=48),
        ],
        annotations=[
            dict(
                id=1,
                image_id=7,
                category_id=5,
                bbox=[10, 10, 20, 20],
                area=400,
                segmentation=[square],
            ),
            dict(
                id=2,
                image_id=9,
                category_id=2,
                bbox=[0, 0, 64, 48.5],
                area=3072,
                iscrowd=1,
                segmentation=dict(size=[48, 64], counts=[0, 48 * 64]),
            ),
        ],
        categories=[dict(id=5, name='cat'), dict(id=2, name='dog')],
    )


def write(folder, content):
    path = folder / 'train.json'
    path.write_text(json.dumps(content))
    return path


def test_a_good_file(tmp_path, content):
    path = write(tmp_path, content)
    found = check_coco(path, classes=('cat', 'dog'), needs_masks=True)
    assert found == content


def test_no_file(tmp_path):
    (tmp_path / 'val.json').touch()
    with pytest.raises(ValueError, match='is not there.*has val.json'):
        read_coco(tmp_path / 'train.json')
    with pytest.raises(ValueError, match='is a folder'):
        read_coco(tmp_path)
    with pytest.raises(ValueError, match='there is no folder'):
        read_coco(tmp_path / 'nowhere' / 'train.json')


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('{"images": [{"id"', r'not JSON \(.*line 1'),
        ('[]', 'contains a list, expected a dict.*results file'),
        (
            '{"images": [], "categories": []}',
            'it has no annotations; expected',
        ),
        (
            '{"images": [3], "annotations": [], "categories": []}',
            'images is list, expected a list of dicts',
        ),
    ],
)
def test_no_annotation_file(tmp_path, text, message):
    path = tmp_path / 'train.json'
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        read_coco(path)
    assert str(caught.value).startswith(str(path))


def change(*place):
    """Make a function that sets a place of the content to a value."""

    def apply(content):
        *way, key, value = place
        node = content
        for step in way:
            node = node[step]
        if value is None:
            del node[key]
        else:
            node[key] = value

    return apply


BOX = ('annotations', 0, 'bbox')
POLYGONS = ('annotations', 0, 'segmentation')
LENGTHS = ('annotations', 1, 'segmentation')
WRONG = {
    'no images': (change('images', []), 'images is empty'),
    'no categories': (change('categories', []), 'categories is empty'),
    'name twice': (change('categories', 1, 'name', 'cat'), "'cat' occurs 2"),
    'a list as name': (
        change('categories', 1, 'name', ['dog']),
        r"categories\[1\] \(id 2\): name is \['dog'\], expected a name",
    ),
    'category id twice': (change('categories', 1, 'id', 5), 'the id 5 occurs'),
    'image id twice': (
        change('images', 1, 'id', 7),
        r'images\[1\]: the id 7 oc',
    ),
    'id twice': (
        change('annotations', 1, 'id', 1),
        r'annotations\[1\]: the id 1 oc',
    ),
    'no id': (
        change('annotations', 1, 'id', None),
        r'annotations\[1\]: id is missing, expected an integer',
    ),
    'a list as id': (
        change('images', 1, 'id', [7]),
        r'images\[1\] \(id \[7\]\): id is \[7\], expected an int',
    ),
    'no name': (
        change('images', 0, 'file_name', None),
        r'images\[0\] \(id 7\): file_name is missing',
    ),
    'no width': (
        change('images', 1, 'width', None),
        r'\(id 9\): width is missing',
    ),
    'no image': (
        change('annotations', 0, 'image_id', 8),
        r'annotations\[0\] \(id 1\): image_id is 8, expected the id',
    ),
    'undeclared category': (
        change('annotations', 0, 'category_id', 3),
        'category_id is 3, expected one of 2, 5; correct or',
    ),
    'no box': (change(*BOX, None), 'bbox is missing, expected four numbers'),
    'three numbers': (change(*BOX, [1, 2, 3]), 'expected four numbers'),
    'not a number': (
        change(*BOX, [1, 2, 3, float('nan')]),
        'expected four numbers',
    ),
    'negative box': (change(*BOX, [30, 30, -5, 5]), 'has a negative size'),
    'box outside': (
        change(*BOX, [60, 10, 20, 20]),
        'reaches 16 pixels outside its image a.png of 64x48',
    ),
    'box above': (change(*BOX, [10, -3, 20, 20]), 'reaches 3 pixels outside'),
    'no area': (change('annotations', 0, 'area', None), 'area is missing'),
    'odd length': (
        change(*POLYGONS, [[1, 1, 5, 1, 5, 5, 1]]),
        r'segmentation\[0\] has 7 numbers, expected an even number',
    ),
    'two corners': (change(*POLYGONS, [[1, 1, 5, 5]]), 'has 4 numbers'),
    'flat polygon': (
        change(*POLYGONS, [1, 1, 5, 1, 5, 5]),
        'a list inside the list of polygons',
    ),
    'words': (
        change(*POLYGONS, [['a'] * 6]),
        "contains 'a', expected only numbers",
    ),
    'a string': (change(*POLYGONS, 'mask'), 'segmentation is a str'),
    'no mask': (change(*POLYGONS, []), 'has no segmentation'),
    'other size': (
        change(*LENGTHS, 'size', [64, 48]),
        r'segmentation.size is \[64, 48\], expected \[48, 64\]',
    ),
    'short counts': (change(*LENGTHS, 'counts', [5]), 'add up to 5 pixels'),
    'cut counts': (change(*LENGTHS, 'counts', 'PPY5'), 'holds .* pixels'),
    'half a number': (change(*LENGTHS, 'counts', '0P'), 'no run lengths'),
    'the text of bytes': (
        change(*LENGTHS, 'counts', "b'PPY5'"),
        'the text of Python bytes',
    ),
    'a crowd as text': (
        change('annotations', 0, 'iscrowd', '0'),
        "iscrowd is '0', expected 0, or 1",
    ),
    'a crowd that is nan': (
        change('annotations', 0, 'iscrowd', float('nan')),
        'iscrowd is nan, expected 0, or 1',
    ),
    'only crowds': (
        change('annotations', 0, 'iscrowd', 1),
        r'all 2 annotations are crowds \(iscrowd=1\)',
    ),
    'ignored': (change('annotations', 0, 'ignore', 1), 'ignore is 1'),
    'no objects': (change('annotations', []), 'annotations is empty'),
    'texts among the ids': (
        change('images', 1, 'id', '9'),
        r'images: the ids are of different types \(int, str\)',
    ),
    'an id beyond 64 bits': (change('images', 1, 'id', 2**63), 'id is 922'),
    'half a pixel': (
        change('images', 1, 'width', 64.5),
        'width is 64.5, expected a whole number of pixels',
    ),
    'an endless image': (change('images', 1, 'width', 10**9), 'width is 1000'),
    'a polygon far away': (
        change(*POLYGONS, [[1, 1, 1e9, 1, 5, 5]]),
        r'segmentation\[0\] contains 1e\+09, expected pixels inside a.png, ',
    ),
    'no counts': (change(*LENGTHS, 'counts', None), 'expected run lengths'),
}


@pytest.mark.parametrize('name', WRONG)
def test_wrong(tmp_path, content, name):
    spoil, message = WRONG[name]
    spoil(content)
    path = write(tmp_path, content)
    with pytest.raises(ValueError) as caught:
        check_coco(path, needs_masks=True)
    text = str(caught.value)
    assert text.startswith(f'{path}: ')
    assert '\n' not in text
    found = list(find_problems(read_coco(path), needs_masks=True))
    assert any(re.search(message, problem) for problem in found), found


def test_null_is_no_crowd(content):
    content['annotations'][0]['iscrowd'] = None
    (problem,) = find_problems(content)
    assert 'iscrowd is None, expected 0, or 1' in problem


def test_compressed_run_lengths(content):
    """Whatever pycocotools writes is right; every shorter text is not."""
    generator = np.random.default_rng(0)
    mask = content['annotations'][1]['segmentation']
    for share in (0.0, 0.01, 0.5, 1.0):
        pixels = generator.random((48, 64)) < share
        rle = coco_mask.encode(np.asfortranarray(pixels, np.uint8))
        counts = rle['counts'].decode()
        mask['counts'] = counts
        assert not [*find_problems(content)], share
        for end in range(1, len(counts)):
            mask['counts'] = counts[:end]
            assert [*find_problems(content)], (share, end)


def test_masks_are_needed_only_where_they_are(tmp_path, content):
    del content['annotations'][0]['segmentation']
    check_coco(write(tmp_path, content))


def test_classes_of_the_data_set(tmp_path, content):
    path = write(tmp_path, content)
    with pytest.raises(
        ValueError, match="no category 'cats'.*mean 'cat'.*declares cat, dog"
    ):
        check_coco(path, classes=('cats', 'dog'))
    with pytest.raises(ValueError, match='names would be swapped'):
        check_coco(path, classes=('dog', 'cat'))
    check_coco(path, classes=('dog',))  # a part of them is a choice


def test_images_that_are_not_there(tmp_path, content):
    path = write(tmp_path, content)
    (tmp_path / 'a.png').touch()
    message = (
        f"(id 9): file_name is 'b.png', expected an image file in {tmp_path}"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        check_coco(path, tmp_path)
    (tmp_path / 'b.png').touch()
    check_coco(path, tmp_path)
    content['images'][1]['file_name'] = 'b.png/'  # pathlib would drop it
    with pytest.raises(ValueError, match="file_name is 'b.png/', expected"):
        check_coco(write(tmp_path, content), tmp_path)


def test_all_of_them_on_request(tmp_path, content):
    for number in (2, 3):
        extra = copy.deepcopy(content['annotations'][0])
        extra.update(id=number + 5, image_id=100)
        content['annotations'].append(extra)
    path = write(tmp_path, content)
    with pytest.raises(ValueError, match=r'\(and 1 more: python -m cbnet'):
        check_coco(path)
    done = subprocess.run(
        [sys.executable, '-m', 'cbnet.datasets.coco_check', str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout.count('image_id is 100') == 2
    assert done.stdout.endswith('train.json: 2 problems\n')


def test_images_of_another_size_on_request(tmp_path, content):
    path = write(tmp_path, content)
    for name, size in (('a.png', (64, 48)), ('b.png', (32, 24))):
        Image.new('RGB', size).save(tmp_path / name)
    (problem,) = size_problems(read_coco(path), tmp_path)
    assert problem == (
        'images[1] (id 9): b.png has 32x24 pixels, but its annotations '
        'declare 64x48'
    )


def test_a_file_is_read_once_on_request(tmp_path, content, readings):
    path = write(tmp_path, content)
    with read_once():
        assert read_coco(path) is read_coco(str(path))
        assert readings(path) == 1
        content['info'] = 'changed'
        write(tmp_path, content)
        assert read_coco(path) == content
    assert read_coco(path) == content
    assert readings(path) == 2
