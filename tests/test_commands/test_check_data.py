"""``cbnet check-data``: data go through training and evaluation, or why not.

- what is used, left out and found is printed and written; also for the data
  of a config itself, for boxes, and without validation;
- all mistakes of a file; images that do not pass the pipeline, or are
  refused by it; classes without objects;
- objects that are not found are a mistake; more objects in an image than
  COCO counts are none.
"""

import json
import re
import runpy
import shutil
import sys
from pathlib import Path

import pytest
from PIL import Image

TOOL = Path(__file__).parents[2] / 'tools/misc/check_data.py'


@pytest.fixture
def mine(tiny_coco, tmp_path):
    """A copy of the tiny data set."""
    return Path(shutil.copytree(tiny_coco.root, tmp_path / 'mine'))


@pytest.fixture
def check(run_command, tiny_config, tmp_path):
    """Check in this process; give the exit status, the output, the report."""

    def run(*arguments, config=tiny_config):
        file = tmp_path / 'report.json'
        status, said = run_command(
            'check-data', '--config', config, '--json', file, *arguments
        )
        return status, said, json.loads(file.read_text())

    return run


def edit(file, change):
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def test_all_is_well(check, mine):
    status, said, report = check('--data-root', mine)
    assert status == 0 and 'all is well' in said
    assert report['ok'] and report['problems'] == []
    assert report['perfect'] == dict(bbox=1.0, segm=1.0)
    train, val = report['train'], report['val']
    assert train['files'] == [str(mine / 'train.json')]
    assert train['images'] == dict(kept=4, dropped=0, reasons={})
    crowd = {'crowds (iscrowd)': 1}
    assert train['objects'] == dict(kept=4, dropped=1, reasons=crowd)
    assert val['objects'] == dict(kept=2, dropped=1, reasons=crowd)
    assert val['classes'] == dict(square=1, triangle=1)
    assert re.search(r'square *\| *2 *\| *1 *\| *1.000 *\| *1.000', said)


def test_the_script_and_the_data_of_a_config(tiny_config, monkeypatch, capsys):
    argv = ['check_data.py', '--config', str(tiny_config)]
    monkeypatch.setattr(sys, 'argv', argv)
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(TOOL), run_name='__main__')
    assert ended.value.code == 0
    assert 'bbox 1.000, segm 1.000' in capsys.readouterr().out


def test_without_validation(check, mine):
    (mine / 'val.json').unlink()
    assert check('--data-root', mine)[0] == 1
    status, _, report = check('--data-root', mine, '--no-val')
    assert status == 0
    assert report['val'] is None and report['perfect'] == {}


def test_boxes_only(check, mine, tiny_config):
    for split in ('train', 'val'):
        edit(
            mine / f'{split}.json',
            lambda c: [a.pop('segmentation') for a in c['annotations']],
        )
    status, said, _ = check('--data-root', mine)
    assert status == 1 and 'the config trains masks, but' in said
    text = tiny_config.read_text().replace('with_mask=True', 'with_mask=False')
    tiny_config.write_text(text.replace("['bbox', 'segm']", "'bbox'"))
    status, _, report = check('--data-root', mine)
    assert status == 0 and report['perfect'] == dict(bbox=1.0)


def test_all_mistakes_of_a_file(check, mine):
    def break_two(content):
        content['annotations'][0]['bbox'][0] = 'left'
        content['annotations'][1]['iscrowd'] = 2

    edit(mine / 'train.json', break_two)
    status, said, report = check('--data-root', mine)
    assert status == 1 and report['train'] is None
    assert [re.search(r'(bbox|iscrowd) is', p)[1] for p in report['problems']]
    assert '2 problems' in said


@pytest.mark.parametrize('split', ['train', 'val'])
def test_an_image_of_another_size(check, mine, split):
    Image.new('RGB', (64, 96)).save(mine / split / '002.png')
    status, _, report = check('--data-root', mine)
    (problem,) = report['problems']
    assert status == 1
    assert 'has 64x96 pixels, but its annotations declare 96x64' in problem


def test_images_that_the_pipeline_refuses(check, mine, tiny_config):
    text = tiny_config.read_text()
    flip = "dict(type='RandomFlip', prob=0.5),"
    crop = "dict(type='FilterAnnotations', min_gt_bbox_wh=({0}, {0})),"
    tiny_config.write_text(text.replace(flip, crop.format(36)))
    status, said, report = check('--data-root', mine)
    assert status == 0 and 'refused 1 image, for which' in said
    assert report['train']['refused'] == [str(mine / 'train/001.png')]
    tiny_config.write_text(text.replace(flip, crop.format(90)))
    status, said, _ = check('--data-root', mine)
    assert status == 1 and 'refuses every image with' in said


def test_a_class_without_objects(check, mine):
    def only_squares(content):
        content['annotations'] = [
            a for a in content['annotations'] if a['category_id'] == 1
        ]

    edit(mine / 'val.json', only_squares)
    status, said, report = check('--data-root', mine)
    assert status == 0 and 'val has no objects of triangle' in said
    by_class = report['perfect_by_class']['segm']
    assert by_class == dict(square=1.0, triangle=None)


def test_an_object_that_is_not_found(check, mine, monkeypatch):
    """If an evaluation counted what mmdet leaves out, this would tell."""

    def thin(content):
        (square,) = (a for a in content['annotations'] if a['id'] == 1)
        content['annotations'].append(square | dict(id=9, bbox=[3, 3, 0.5, 9]))

    edit(mine / 'val.json', thin)
    status, said, report = check('--data-root', mine)
    assert status == 0 and 'cover no pixel: 1 of 4 objects' in said
    monkeypatch.setattr(
        'cbnet.datasets.own_data.leave_out_nothings', lambda c, _: (c, [])
    )
    nothing = 'cbnet.evaluation.coco_metric.find_nothings'
    monkeypatch.setattr(nothing, lambda content: [])
    status, said, report = check('--data-root', mine)
    assert status == 1
    assert report['perfect']['bbox'] < 1
    assert report['problems'][0].startswith('bbox: perfect detections have an')
    assert 'square (0.505)' in report['problems'][0]


def test_an_empty_mask_in_the_data_of_a_config(
    check, mine, tiny_config, tiny_coco
):
    def empty(content):
        (square,) = (a for a in content['annotations'] if a['id'] == 1)
        line = [[3, 3, 9, 3.2, 3, 3.2]]
        content['annotations'].append(square | dict(id=9, segmentation=line))

    edit(mine / 'val.json', empty)
    text = tiny_config.read_text().replace(str(tiny_coco.root), str(mine))
    tiny_config.write_text(text)
    status, said, report = check()
    assert status == 0 and 'cover no pixel: 1 of 4 objects' in said
    assert report['perfect'] == dict(bbox=1.0, segm=1.0)


def test_more_objects_than_coco_counts(check, mine):
    def many(content):
        (square,) = (a for a in content['annotations'] if a['id'] == 1)
        for number in range(100, 225):
            content['annotations'].append(dict(square, id=number))

    edit(mine / 'val.json', many)
    status, said, report = check('--data-root', mine)
    # Of 126 squares 100 are counted: a recall of 0.79, and the precision is
    # 1 at 80 of COCO's 101 recalls.
    most = round((80 / 101 + 1) / 2, 3)
    assert report['perfect'] == dict(bbox=most, segm=most)
    assert set(report['perfect_by_class']['bbox'].values()) == {1.0}
    assert status == 0 and f'above {most:.3f} here: 1 image with' in said
