"""What is left out of a training is said, and nothing left is an error.

- small images, images without objects, crowds, degenerate boxes, classes;
- the numbers are those of the data set that mmdet builds;
- nothing left; classes that are one text;
- of an evaluation: nothing left, objects without pixels, masks.
"""

import json

import pytest
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.registry import DefaultScope

from cbnet.datasets.data_check import check_data


def data(folder, images, classes=('cat', 'dog'), **filters):
    """Write images (side, boxes of category ids); give a config of them."""
    content = dict(images=[], annotations=[], categories=[])
    content['categories'] = [dict(id=1, name='cat'), dict(id=2, name='dog')]
    for number, (side, objects) in enumerate(images):
        name = f'{number}.png'
        (folder / name).touch()
        content['images'].append(
            dict(id=number, file_name=name, width=side, height=side)
        )
        for category, more in objects:
            annotation = dict(
                id=len(content['annotations']) + 1,
                image_id=number,
                category_id=category,
                bbox=[1, 1, 8, 8],
                area=64,
            )
            content['annotations'].append(annotation | more)
    (folder / 'train.json').write_text(json.dumps(content))
    dataset = dict(
        type='CocoDataset',
        data_root=str(folder),
        ann_file='train.json',
        data_prefix=dict(img=''),
        metainfo=dict(classes=classes),
        filter_cfg=filters,
        pipeline=[],
    )
    return Config(dict(train_dataloader=dict(dataset=dataset)))


USUAL = dict(filter_empty_gt=True, min_size=32)
CAT, DOG = (1, {}), (2, {})


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield


def test_everything_is_kept(tmp_path):
    cfg = data(tmp_path, [(40, [CAT, DOG]), (50, [CAT])], **USUAL)
    (line,) = check_data(cfg, 'train')
    assert line == (
        'train.json: 2 of 2 images and 3 objects are used (cat 2, dog 1)'
    )


def test_what_is_left_out(tmp_path):
    crowd, thin = (1, dict(iscrowd=1)), (1, dict(bbox=[1, 1, 0.5, 8]))
    images = [(40, [CAT, crowd, thin, DOG]), (20, [CAT]), (20, []), (60, [])]
    cfg = data(tmp_path, images, classes=('cat',), **USUAL)
    line, left_out = check_data(cfg, 'train')
    assert line.endswith('1 of 4 images and 1 object are used (cat 1)')
    assert left_out == (
        'left out: 2 images without objects of the classes (filter_empty_gt), '
        '1 image smaller than 32 pixels (min_size), 1 crowd (iscrowd), 1 '
        'object of other classes, 1 object without an area'
    )
    built = DATASETS.build(cfg.train_dataloader.dataset)
    (only,) = [built.get_data_info(i) for i in range(len(built))]
    assert [one['ignore_flag'] for one in only['instances']] == [0, 1]


@pytest.mark.parametrize('side', [20, 40])
def test_nothing_is_left(tmp_path, side):
    thin = (1, dict(bbox=[1, 1, 0.5, 8]))
    cfg = data(tmp_path, [(side, [thin])], **USUAL)
    with pytest.raises(ValueError, match='no object is left to train on .1 '):
        check_data(cfg, 'train')


def test_masks_that_are_empty(tmp_path):
    empty = dict(segmentation=dict(size=[40, 40], counts=[1600]))
    cfg = data(tmp_path, [(40, [CAT, (1, empty)])], **USUAL)
    line, used = check_data(cfg, 'train')
    assert line == (
        'train.json: 1 object whose mask covers no pixel is learned with an '
        'empty mask; --data-root leaves such objects out'
    )
    assert '2 objects are used' in used


@pytest.mark.parametrize('area', [0, -5, 1e12])
@pytest.mark.parametrize('split', ['train', 'val'])
def test_areas_that_cannot_be_right(tmp_path, area, split):
    """Training would leave such objects out without a word."""
    wrong = (1, dict(area=area))
    if split == 'train':
        cfg = data(tmp_path, [(40, [CAT, wrong])])
    else:
        cfg = evaluation(tmp_path, [(40, [CAT, wrong])])
    with pytest.raises(
        ValueError, match=r'\[1\] .* but the object covers 64 '
    ):
        check_data(cfg, split)


def test_a_model_of_fewer_classes(tmp_path):
    cfg = data(tmp_path, [(40, [CAT, DOG])])
    head = dict(type='Shared2FCBBoxHead', num_classes=1)
    cfg.model = dict(rpn_head=dict(num_classes=1), roi_head=[head])
    message = 'num_classes=1 of Shared2FCBBoxHead, but .* 2 classes .cat, dog.'
    with pytest.raises(ValueError, match=message):
        check_data(cfg, 'train')
    cfg.model.roi_head[0].num_classes = 80
    check_data(cfg, 'train')


def test_classes_that_are_one_text(tmp_path):
    cfg = data(tmp_path, [(40, [CAT])], classes='red')
    with pytest.raises(ValueError, match="a single class is .'red',."):
        check_data(cfg, 'train')


def evaluation(folder, images, metric='bbox'):
    """Give a config that evaluates on the images of ``data``."""
    cfg = data(folder, images)
    val = cfg.pop('train_dataloader')
    val.dataset.test_mode = True
    evaluator = dict(type='CocoMetric', metric=metric)
    return Config(dict(val_dataloader=val, val_evaluator=evaluator))


def test_nothing_to_evaluate_on(tmp_path):
    cfg = evaluation(tmp_path, [(40, [(1, dict(bbox=[1, 1, 0.5, 8]))])])
    with pytest.raises(
        ValueError, match='no object is left to evaluate on.*--no-val. trains'
    ):
        check_data(cfg, 'val')
    cfg.test_dataloader, cfg.test_evaluator = (
        cfg.val_dataloader,
        cfg.val_evaluator,
    )
    with pytest.raises(ValueError, match=r'test on .* \(cat|cat, dog$'):
        check_data(cfg, 'test')
    cfg.test_evaluator.format_only = True
    assert check_data(cfg, 'test') == []


def test_objects_that_no_detection_can_find(tmp_path):
    thin = (1, dict(bbox=[1, 1, 0.5, 8]))
    (line,) = check_data(evaluation(tmp_path, [(40, [CAT, thin])]), 'val')
    assert line == (
        'train.json: left out, because box or mask cover no pixel: 1 of 2 '
        'objects'
    )
    assert check_data(evaluation(tmp_path, [(40, [CAT])]), 'val') == []


@pytest.mark.parametrize('metric', ['segm', ['bbox', 'segm']])
def test_masks_to_evaluate(tmp_path, metric):
    cfg = evaluation(tmp_path, [(40, [CAT])], metric)
    with pytest.raises(ValueError, match='has no segmentation'):
        check_data(cfg, 'val')
