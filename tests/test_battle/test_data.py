"""The splits of a battle.

1. Three splits stay as they are; of two, choices get a part of the training
   images; of one, choices and figures get parts. No image is in two splits.
2. The splits and the fingerprint are the same each time; the fingerprint
   changes with the annotations and with an image.
3. An empty data set, or one that is too small, is one sentence.
"""

import json
import shutil
from pathlib import Path

import pytest

from cbnet.battle.data import ROLES, find_data
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
    root = make('train', 'val')
    with pytest.raises(UserError, match='two folders are named mine'):
        find_data([root, root / '..' / 'mine'], tmp_path / 'out')
    content = json.loads((root / 'val.json').read_text())
    for key in ('images', 'annotations'):
        content[key] = []
    (root / 'val.json').write_text(json.dumps(content))
    with pytest.raises(UserError) as error:
        find_data([root], tmp_path / 'out')
    assert 'val.json' in str(error.value) or 'has 0 images' in str(error.value)
