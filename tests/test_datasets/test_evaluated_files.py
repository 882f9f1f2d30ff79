"""A metric and its data set must read the same images and objects.

- the same file under two names, an equal copy, a larger file, images without
  objects whose results are only written: all go;
- other images under the same ids, other categories, other objects, no file:
  one sentence names both files, or the key.
"""

import json

import pytest
from mmengine.config import Config

from cbnet.datasets.data_check import check_data
from cbnet.errors import UserError


def coco(names=('a.png', 'b.png'), boxes=((1, 1, 9, 9), (2, 2, 8, 8))):
    return dict(
        images=[
            dict(id=n, file_name=name, width=40, height=30)
            for n, name in enumerate(names, start=1)
        ],
        annotations=[
            dict(id=n, image_id=n, category_id=4, bbox=[*box], area=64)
            for n, box in enumerate(boxes, start=1)
        ],
        categories=[dict(id=4, name='cat')],
    )


@pytest.fixture
def make(tmp_path):
    """Make a config of two files: of the data set, and of the metric."""
    for name in 'abc':
        (tmp_path / f'{name}.png').touch()

    def write(content, other, **metric):
        for name, one in (('data', content), ('metric', other)):
            if one is not None:
                (tmp_path / f'{name}.json').write_text(json.dumps(one))
        dataset = dict(
            type='CocoDataset',
            data_root=str(tmp_path),
            ann_file='data.json',
            data_prefix=dict(img=''),
            metainfo=dict(classes=('cat',)),
            test_mode=True,
        )
        metric = (
            dict(
                type='CocoMetric',
                metric='bbox',
                ann_file=str(tmp_path / 'metric.json'),
            )
            | metric
        )
        return Config(
            dict(
                val_dataloader=dict(dataset=dataset),
                val_evaluator=[dict(type='DumpDetResults'), metric],
            )
        )

    return write


def test_what_goes_together(make, tmp_path):
    check_data(make(coco(), coco()), 'val')
    (tmp_path / 'metric.json').unlink()
    (tmp_path / 'metric.json').symlink_to('data.json')
    check_data(make(coco(), None), 'val')
    (tmp_path / 'metric.json').unlink()
    larger = coco(('a.png', 'b.png', 'c.png'), [(1, 1, 9, 9), (2, 2, 8, 8)])
    larger['annotations'].append(
        dict(id=9, image_id=3, category_id=4, bbox=[1, 1, 5, 5], area=25)
    )
    check_data(make(coco(), larger), 'val')


SWAPPED = coco(('b.png', 'a.png'))
RENAMED = coco() | dict(categories=[dict(id=4, name='dog')])
MOVED = coco(boxes=((1, 1, 9, 9), (3, 2, 8, 8)))
FEWER = coco(boxes=((1, 1, 9, 9),))


@pytest.mark.parametrize(
    ('other', 'message'),
    [
        (SWAPPED, "no entry of images has the id 1 and the file_name 'a.png'"),
        (coco(('a.png',)), 'no entry of images has the id 2 and the file_nam'),
        (RENAMED, "no entry of categories has the id 4 and the name 'cat'"),
        (MOVED, 'these images have 2 objects with other boxes or classes'),
        (FEWER, 'these images have 1 object with other boxes or classes'),
    ],
)
def test_what_does_not(make, tmp_path, other, message):
    with pytest.raises(UserError) as error:
        check_data(make(coco(), other), 'val')
    data, metric = tmp_path / 'data.json', tmp_path / 'metric.json'
    said = str(error.value)
    assert said.startswith(
        f'val_dataloader reads {data}, but val_evaluator.ann_file is {metric}'
    )
    assert message in said and said.endswith('name the same file in both')


def test_no_file(make):
    with pytest.raises(UserError, match='^val_evaluator.ann_file: .*not ther'):
        check_data(make(coco(), None), 'val')


def test_images_without_objects(make):
    images = coco()
    del images['annotations']
    check_data(make(images, images, format_only=True), 'val')
    with pytest.raises(UserError, match='it has no annotations'):
        check_data(make(images, coco()), 'val')
