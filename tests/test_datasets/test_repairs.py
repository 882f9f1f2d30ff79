"""What annotation tools write otherwise than COCO is read as it is meant.

- ids that are texts or floats, names that are numbers or padded, paths of
  Windows, Roboflow's root, a byte order mark, images that are not there;
- sizes and areas; objects without a pixel are left out;
- values that cannot be looked up stay, and are reported by the check;
- a file without any of it stays as it is, and no content is changed;
- the copy that mmdet reads is a right COCO file with the same objects.
"""

import copy
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cbnet.datasets.annotations import read_coco
from cbnet.datasets.coco_check import find_problems
from cbnet.datasets.own_data import find_own_data, written
from cbnet.datasets.repairs import repair

NAMES = ('a.png', 'b.png')


def coco(images=(1, 2), categories=(1, 2), annotations=(1, 2)):
    """Make a content with these ids: one object of each category."""
    return dict(
        images=[
            dict(id=i, file_name=name, width=40, height=40)
            for i, name in zip(images, NAMES, strict=True)
        ],
        annotations=[
            dict(
                id=i,
                image_id=images[k],
                category_id=categories[k],
                bbox=[1, 2, 10, 10],
                area=100,
            )
            for k, i in enumerate(annotations)
        ],
        categories=[
            dict(id=i, name=name)
            for i, name in zip(categories, ('cat', 'dog'), strict=True)
        ],
    )


def pairs(content):
    """Tell which image and category each object has, by name."""
    images = {one['id']: one['file_name'] for one in content['images']}
    names = {one['id']: one['name'] for one in content['categories']}
    return [
        (images[a['image_id']], names[a['category_id']])
        for a in content['annotations']
    ]


IDS = st.one_of(
    st.integers(0, 5),
    st.integers(0, 5).map(float),
    st.integers(0, 5).map(str),
    st.sampled_from(['a', 'b 1', 'img_0.png']),
)
TWO = st.lists(IDS, min_size=2, max_size=2, unique_by=lambda i: str(i)[:1])


@given(TWO, TWO, TWO)
def test_ids(images, categories, annotations):
    content = coco(images, categories, annotations)
    before = copy.deepcopy(content)
    repaired, lines = repair(content, Path('none'))
    assert content == before
    assert pairs(repaired) == pairs(content)
    assert not [*find_problems(repaired)]
    every = [*images, *categories, *annotations]
    assert bool(lines) == any(type(one) is not int for one in every)
    for entries in repaired.values():
        assert all(type(one['id']) is int for one in entries)


def test_references_of_another_type():
    content = coco()
    content['annotations'][0].update(image_id='1', category_id=1.0)
    repaired, lines = repair(content, Path('none'))
    assert pairs(repaired) == [('a.png', 'cat'), ('b.png', 'dog')]
    assert lines == ['ids became integers in 1 place']


@pytest.mark.parametrize('value', [True, None, [1], float('nan'), 1.5])
def test_what_is_no_id_stays_and_is_reported(value):
    content = coco()
    content['annotations'][0]['image_id'] = value
    repaired, lines = repair(content, Path('none'))
    assert not lines and repaired is content
    assert any('image_id is' in one for one in find_problems(repaired))


def test_names():
    content = coco()
    content['categories'][0]['name'] = 7
    content['categories'][1]['name'] = ' dog\n'
    repaired, (line,) = repair(content, Path('none'))
    assert [one['name'] for one in repaired['categories']] == ['7', 'dog']
    assert '7' in line and 'dog' in line


def test_the_root_of_roboflow():
    content = coco()
    for category in content['categories']:
        category['supercategory'] = 'pets'
    root = dict(id=0, name='pets', supercategory='none')
    content['categories'].insert(0, root)
    repaired, (line,) = repair(content, Path('none'))
    assert [one['name'] for one in repaired['categories']] == ['cat', 'dog']
    assert "'pets' has no objects" in line
    content['annotations'][0]['category_id'] = 0
    assert repair(content, Path('none')) == (content, [])


def test_paths_of_windows(tmp_path):
    (tmp_path / 'sub').mkdir()
    (tmp_path / 'sub/a.png').touch()
    content = coco()
    content['images'][0]['file_name'] = 'sub\\a.png'
    repaired, (line,) = repair(content, tmp_path)
    assert repaired['images'][0]['file_name'] == 'sub/a.png'
    assert line == '\\ became / in 1 path'


def test_images_that_are_not_there(tmp_path):
    (tmp_path / 'b.png').touch()
    repaired, (line,) = repair(coco(), tmp_path, skip_missing=True)
    assert pairs(repaired) == [('b.png', 'dog')]
    assert line.endswith('contain them: 1 of 2 images (a.png)')
    assert repair(coco(), tmp_path) == (coco(), [])
    # If none is there, the folder is wrong.
    assert repair(coco(), tmp_path / 'no', skip_missing=True)[1] == []


@pytest.mark.parametrize('side', [40.0, '40', ' 40 '])
def test_sizes(side):
    content = coco()
    content['images'][1].update(width=side)
    repaired, (line,) = repair(content, Path('none'))
    assert repaired['images'] == coco()['images']
    assert type(repaired['images'][1]['width']) is int
    assert line == 'the sizes of 1 image became whole numbers'


TRIANGLE = [[1, 2, 11, 2, 11, 12]]


@pytest.mark.parametrize('area', [None, 0, -3, 'big', 1e12, float('nan'), ()])
@pytest.mark.parametrize(('mask', 'expected'), [(None, 100), (TRIANGLE, 50)])
def test_areas(area, mask, expected):
    content = coco()
    content['annotations'][0] |= dict(area=area, segmentation=mask)
    if area == ():
        del content['annotations'][0]['area']
    repaired, (line,) = repair(content, Path('none'))
    assert repaired['annotations'][0]['area'] == pytest.approx(expected, abs=5)
    assert line.startswith('the area of 1 object was missing, not positive or')


@pytest.mark.parametrize(
    'wrong', [dict(bbox=[1, 2, 0, 5]), dict(bbox='x'), dict(image_id=[1])]
)
def test_the_area_of_what_is_wrong_itself(wrong):
    content = coco()
    content['annotations'][0] |= dict(area=0, **wrong)
    assert repair(content, Path('none')) == (content, [])


@pytest.mark.parametrize(
    'nothing',
    [
        dict(bbox=[1, 2, 0.5, 9]),
        dict(bbox=[1, 2, 9, 0]),
        dict(bbox=[40, 2, 1, 9]),  # beside the image, within the tolerance
        dict(segmentation=[[1, 2, 11, 2.3, 1, 2.3]], area=2),
        dict(segmentation=dict(size=[40, 40], counts=[1600])),
    ],
)
def test_objects_without_pixels(tmp_path, nothing):
    content = coco()
    content['annotations'][0] |= nothing
    for split in ('train', 'val'):
        (tmp_path / f'{split}.json').write_text(json.dumps(content))
    for name in NAMES:
        (tmp_path / name).touch()
    data = find_own_data(tmp_path)
    # mmdet leaves out empty boxes of a training by itself.
    assert bool(data.train.repairs) == ('segmentation' in nothing)
    split = data.val
    assert pairs(split.content) == [('b.png', 'dog')]
    line = 'left out, because box or mask cover no pixel: 1 of 2 objects'
    assert split.repairs == (line,)


@pytest.mark.parametrize('key', ['id', 'name', 'supercategory'])
@pytest.mark.parametrize('value', [[1], {}, None, float('nan')])
def test_what_cannot_be_looked_up(key, value):
    for name, entries in coco().items():
        content = coco() | {name: [entries[0] | {key: value}, entries[1]]}
        repair(content, Path('none'), skip_missing=True)
        content['annotations'][1] = coco()['annotations'][1] | dict(
            image_id=value, category_id=value
        )
        repair(content, Path('none'), skip_missing=True)


@pytest.mark.parametrize('encoding', ['utf-8-sig', 'utf-16'])
def test_mmdet_reads_a_copy(tmp_path, encoding):
    for name in NAMES:
        (tmp_path / name).touch()
    plain, marked = tmp_path / 'val.json', tmp_path / 'train.json'
    plain.write_text(json.dumps(coco()))
    content = coco(images=('x', 'y'))
    marked.write_text(json.dumps(content), encoding=encoding)
    data = find_own_data(tmp_path)
    assert written(data.val, data.train.classes, tmp_path / 'w') == data.val
    train = written(data.train, data.train.classes, tmp_path / 'w')
    assert train.annotations.parent == tmp_path / 'w'
    assert pairs(json.loads(train.annotations.read_text())) == pairs(content)
    assert read_coco(marked) == content
    assert len(data.train.repairs) == 2


def test_the_first_image_may_be_missing(tmp_path):
    (tmp_path / 'images').mkdir()
    (tmp_path / 'images/b.png').touch()
    (tmp_path / 'train.json').write_text(json.dumps(coco()))
    with pytest.raises(ValueError, match="'a.png', expected.*--skip-missing"):
        find_own_data(tmp_path, validate=False)
    data = find_own_data(tmp_path, validate=False, skip_missing=True)
    assert data.train.images == tmp_path / 'images'
