"""The annotation files of a folder: whole words tell the split.

- words of the file, else of the nearest folder; hidden files and battles do
  not count;
- COCO's instances are preferred to captions and keypoints;
- a file of both splits is refused; both names given, it is taken with a word;
- the only COCO file is taken if there is no evaluation.
"""

import json
from pathlib import Path

import pytest

from cbnet.datasets.own_data import find_own_data
from cbnet.datasets.split_files import (
    find_split_file,
    json_files,
    splits_of,
)

from .test_own_data import touch, write


@pytest.mark.parametrize(
    ('name', 'splits'),
    [
        ('arrival_train.json', 'train'),
        ('arrival_val.json', 'val'),
        ('constraint/valves_train.json', 'train'),
        ('instances_train2017.json', 'train'),
        ('instancesTrain.json', 'train'),
        ('TRAIN.json', 'train'),
        ('coco-valid.v2.json', 'val'),
        ('MiniVal2014.json', 'val'),
        ('train/_annotations.coco.json', 'train'),
        ('train/annotations/labels.json', 'train'),
        ('train/val.json', 'val'),
        ('test/labels.json', 'test'),
        ('Testing set.json', 'test'),
        ('trainval.json', 'train val'),
        ('train_val.json', 'train val'),
        ('valley/strain.json', ''),
        ('latest.json', ''),
        ('übung_train.json', 'train'),
    ],
)
def test_words(name, splits):
    assert splits_of(Path(name)) == set(splits.split())


def test_hidden_files_and_our_copies_do_not_count(tmp_path):
    work_dir = 'work_dirs/mine/annotations/train_for_mmdet'
    hidden = '.train', '.ipynb_checkpoints/train-checkpoint'
    for name in ('train', *hidden, work_dir):
        write(tmp_path / f'{name}.json')
    assert find_split_file(tmp_path, 'train') == tmp_path / 'train.json'


def test_folders_of_battles_do_not_count(tmp_path):
    for name in ('train', 'here/data/mine/train', 'mine/battle'):
        write(tmp_path / f'{name}.json')
    assert len(json_files(tmp_path)) == 3
    write(tmp_path / 'here' / 'battle.json')
    assert find_split_file(tmp_path, 'train') == tmp_path / 'train.json'
    assert len(json_files(tmp_path)) == 2


def test_an_ending_in_capitals(tmp_path):
    write(tmp_path / 'Train.JSON')
    assert find_split_file(tmp_path, 'train') == tmp_path / 'Train.JSON'


def test_instances_are_preferred(tmp_path):
    for kind in ('captions', 'instances', 'person_keypoints'):
        write(tmp_path / f'annotations/{kind}_val2017.json')
    found = find_split_file(tmp_path, 'val')
    assert found.name == 'instances_val2017.json'
    write(tmp_path / 'annotations/instances_val2014.json')
    with pytest.raises(ValueError, match='4 annotation files.*--val-ann FILE'):
        find_split_file(tmp_path, 'val')


def test_a_file_of_both_splits_is_refused(tmp_path):
    write(tmp_path / 'trainval.json')
    touch(tmp_path / 'a.png')
    several = 'trainval.json is named after several splits'
    with pytest.raises(ValueError, match=f'{several}.*--train-ann'):
        find_own_data(tmp_path)
    with pytest.raises(ValueError, match=f'{several}.*--val-ann.*--no-val'):
        find_own_data(tmp_path, train_ann='trainval.json')
    data = find_own_data(tmp_path, validate=False)
    assert data.train.annotations == tmp_path / 'trainval.json'


def test_one_file_for_both_splits_only_if_both_are_named(tmp_path):
    write(tmp_path / 'train.json')
    touch(tmp_path / 'a.png')
    with pytest.raises(ValueError, match='would be trained on and evaluated'):
        find_own_data(tmp_path, val_ann='train.json')
    both = dict(train_ann='train.json', val_ann='./train.json')
    (note,) = find_own_data(tmp_path, **both).notes
    assert note.startswith('the AP will be that on the training images')


def test_the_only_coco_file(tmp_path):
    write(tmp_path / 'labels.json')
    touch(tmp_path / 'a.png')
    (tmp_path / 'settings.json').write_text(json.dumps(dict(zoom=1)))
    with pytest.raises(ValueError, match='no annotation file of train'):
        find_own_data(tmp_path)
    data = find_own_data(tmp_path, validate=False)
    assert data.train.annotations == tmp_path / 'labels.json'
    write(tmp_path / 'more.json')
    with pytest.raises(ValueError, match='2 annotation files could be meant'):
        find_own_data(tmp_path, validate=False)


def test_a_test_split_is_mentioned(tmp_path):
    for split in ('train', 'val', 'test'):
        write(tmp_path / f'{split}.json')
    touch(tmp_path / 'a.png')
    (note,) = find_own_data(tmp_path).notes
    assert note.startswith(f'not used: {tmp_path / "test.json"}')
    assert not find_own_data(tmp_path, val_ann='test.json').notes
