"""The splits of a battle.

1. Three splits stay as they are; of two, choices get a part of the training
   images; of one, choices and figures get parts. No image is in two splits.
2. The splits and the fingerprint are the same each time; the fingerprint
   changes with the annotations and with an image.
3. An image that is in two splits is refused, as a link or as a copy, too; the
   advice depends on whether the battle has divided a file.
4. An empty data set, or one that is too small, is one sentence, which names
   no option that the command lacks; so is a part that has nothing but crowds,
   or images that are too small.
"""

import json
import shutil
from pathlib import Path

import pytest

from cbnet.battle import data as battle_data
from cbnet.battle.configs import PROTOCOLS
from cbnet.battle.data import ROLES, find_data
from cbnet.battle.shared_images import check_images
from cbnet.config_files import find_config, read_config
from cbnet.datasets.own_data import Split
from cbnet.errors import UserError


@pytest.fixture
def make(tiny_coco, tmp_path):
    """Make a data set with some of the splits; give its folder."""

    def make(*splits, name='mine'):
        root = tmp_path / name
        for split in splits:
            source = 'train' if split == 'train' else 'val'
            shutil.copytree(tiny_coco.root / source, root / split)
            content = json.loads(
                (tiny_coco.root / f'{source}.json').read_text()
            )
            if split == 'test':
                for image in content['images']:
                    (root / split / image['file_name']).rename(
                        root / split / f'x{image["file_name"]}'
                    )
                    image['file_name'] = f'x{image["file_name"]}'
            (root / f'{split}.json').write_text(json.dumps(content))
        return root

    return make


def names(data):
    return {
        role: {
            f'{split.images.name}/{image["file_name"]}'
            for image in json.loads(split.annotations.read_text())['images']
        }
        for role, split in data.splits.items()
    }


@pytest.mark.parametrize(
    ('splits', 'counts', 'note'),
    [
        (['train', 'val', 'test'], [4, 2, 2], 'three splits of its own'),
        (['train', 'val'], [3, 1, 2], 'figures on its validation split'),
        (['train', 'test'], [3, 1, 2], 'figures on its test split'),
        (['train'], [2, 1, 1], 'one split of its own'),
    ],
)
def test_splits(make, tmp_path, splits, counts, note):
    root = make(*splits)
    if len(splits) == 1:  # each image needs an object
        file = root / 'train.json'
        content = json.loads(file.read_text())
        one = content['annotations'][0]
        content['annotations'] = [
            one | dict(id=i, image_id=i) for i in range(1, 5)
        ]
        file.write_text(json.dumps(content))
    (data,) = find_data([root], tmp_path / 'out')
    data.write()
    found = names(data)
    assert [len(found[role]) for role in ROLES] == counts
    assert sum(counts) == len(set().union(*found.values()))
    assert note in data.note
    (again,) = find_data([root], tmp_path / 'other')
    again.write()
    assert names(again) == found
    assert again.fingerprint == data.fingerprint


@pytest.mark.parametrize('nested', [False, True])
def test_the_same_names_in_each_folder(make, tmp_path, nested):
    """The images of a test split are those of its folder."""
    root = make('train', 'val', 'test')
    content = json.loads((root / 'test.json').read_text())
    for image in content['images']:
        file = root / 'test' / image['file_name']
        image['file_name'] = image['file_name'].removeprefix('x')
        file.rename(file.with_name(image['file_name']))
        (root / 'test' / image['file_name']).write_bytes(
            file.with_name(image['file_name']).read_bytes() + b' '
        )
    (root / 'test.json').write_text(json.dumps(content))
    if nested:
        for role in ROLES:
            (root / role).rename(tmp_path / role)
        (root / 'images').mkdir()
        for role in ROLES:
            (tmp_path / role).rename(root / 'images' / role)
    (data,) = find_data([root], tmp_path / 'out')
    assert [data.splits[role].images.name for role in ROLES] == [*ROLES]


@pytest.mark.parametrize('how', ['file', 'link', 'hard link', 'copy'])
@pytest.mark.parametrize('pair', [('train', 'test'), ('val', 'test')])
def test_shared_images(make, tmp_path, pair, how):
    root = make('train', 'val', 'test')
    find_data([root], tmp_path / 'out')
    first, second = (
        json.loads((root / f'{p}.json').read_text()) for p in pair
    )
    old, new = first['images'][0], second['images'][-1]
    known = root / pair[0] / old['file_name']
    file = root / pair[1] / new['file_name']
    if how == 'file':
        name = f'../{pair[0]}/{old["file_name"]}'
    elif how == 'copy':
        name = old['file_name']
        shutil.copy(known, file.with_name(name))
    else:
        name = 'other.jpg'
        link = file.with_name(name)
        if how == 'link':
            link.symlink_to(known)
        else:
            link.hardlink_to(known)
    new |= {k: old[k] for k in ('width', 'height')} | dict(file_name=name)
    (root / f'{pair[1]}.json').write_text(json.dumps(second))
    with pytest.raises(UserError) as error:
        find_data([root], tmp_path / 'out')
    assert f'the splits {pair[0]} and {pair[1]} share images' in str(
        error.value
    )


def test_a_copy_among_files_of_its_name_and_size(tmp_path):
    """Neither another content before it nor a missing file hides it."""
    content = dict(a=b'1', b=b'2', c=b'2', d=b'3')
    for folder, text in content.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / 'x.png').write_bytes(text)

    def splits(train, test):
        return {
            role: Split(
                Path(f'{role}.json'), tmp_path, (), 0, (),
                dict(images=[dict(file_name=f'{one}/x.png') for one in some]),
            )
            for role, some in (('train', train), ('test', test))
        }  # fmt: skip

    check_images(tmp_path, splits('abe', 'd'))
    with pytest.raises(UserError, match='train and test share.*c/x.png'):
        check_images(tmp_path, splits('ab', 'ec'))


@pytest.mark.parametrize('copied', [False, True])
def test_an_image_twice_in_a_file(make, tmp_path, copied):
    root = make('train', 'test')
    file = root / 'train.json'
    content = json.loads(file.read_text())
    name = content['images'][0]['file_name']
    for number in range(5, 9):  # some of them get into another part
        copy = name
        if copied:
            copy = f'{number}/{name}'
            (root / 'train' / f'{number}').mkdir()
            shutil.copy(root / 'train' / name, root / 'train' / copy)
        content['images'] += [
            content['images'][0] | dict(id=number, file_name=copy)
        ]
    file.write_text(json.dumps(content))
    with pytest.raises(UserError) as error:
        find_data([root], tmp_path / 'out')
    assert f'{name} of {file} are equal, so' in str(error.value)
    assert 'remove one of the two from this file' in str(error.value)


def test_fingerprints(make, tmp_path):
    root = make('train', 'val')
    (before,) = find_data([root], tmp_path / 'out')
    image = next((root / 'val').iterdir())
    image.write_bytes(image.read_bytes() + b' ')
    (after,) = find_data([root], tmp_path / 'out')
    assert after.fingerprint != before.fingerprint


def test_mistakes(make, tmp_path):
    with pytest.raises(UserError, match='--data-root: no folder gone'):
        find_data([Path('gone')], tmp_path / 'out')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(UserError) as error:
        find_data([tmp_path / 'empty'], tmp_path / 'out')
    assert 'no JSON file' in str(error.value)
    assert 'such as train.json' in str(error.value)
    assert '--train-ann' not in str(error.value)
    root = make('train', 'val')
    with pytest.raises(UserError, match='two folders are named mine'):
        find_data([root, root / '..' / 'mine'], tmp_path / 'out')
    with pytest.raises(UserError, match='two folders are named mine'):
        find_data([root, tmp_path / 'MINE'], tmp_path / 'out')
    content = json.loads((root / 'val.json').read_text())
    for key in ('images', 'annotations'):
        content[key] = []
    (root / 'val.json').write_text(json.dumps(content))
    with pytest.raises(UserError) as error:
        find_data([root], tmp_path / 'out')
    assert 'val.json' in str(error.value) or 'has 0 images' in str(error.value)


def test_a_part_with_nothing_but_crowds(make, tmp_path):
    file = make('train') / 'train.json'
    content = json.loads(file.read_text())
    one = content['annotations'][0]
    content['annotations'] = [
        one | dict(id=i, image_id=i, iscrowd=int(i > 1)) for i in range(1, 5)
    ]
    file.write_text(json.dumps(content))
    with pytest.raises(UserError, match='0 annotations that are no crowds'):
        find_data([file.parent], tmp_path / 'out')


def test_images_that_are_too_small(make, tmp_path, monkeypatch):
    monkeypatch.setattr(battle_data, 'LEAST_SIDE', 10_000)
    with pytest.raises(UserError, match='of 4 images to train on, none has'):
        find_data([make('train', 'val', 'test')], tmp_path / 'out')


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_the_least_size_is_that_of_the_protocols(protocol):
    name = PROTOCOLS[protocol].config
    loader = read_config(find_config(name), name).train_dataloader
    assert loader.dataset.filter_cfg.min_size == battle_data.LEAST_SIDE
