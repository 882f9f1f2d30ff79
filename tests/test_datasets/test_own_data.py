"""A user's own folder: its files are found, or the error names an option.

- the layouts that exporters write; what is given wins over what is found;
- nothing found, several found, a file or a folder that is not there;
- no validation file is an error unless it is requested;
- the validation file's categories: unknown, reordered, renumbered, missing.
"""

import json

import pytest

from cbnet.datasets.own_data import find_own_data, written

CLASSES = ('cat', 'dog')


def write(path, names=CLASSES, ids=(1, 2), image='a.png', masks=True):
    """Write an annotation file with one image and one object a category."""
    objects = [
        dict(
            id=number,
            image_id=1,
            category_id=category,
            bbox=[0, 0, 8, 8],
            area=64,
            **(dict(segmentation=[[0, 0, 8, 0, 8, 8]]) if masks else {}),
        )
        for number, category in enumerate(ids, start=1)
    ]
    content = dict(
        images=[dict(id=1, file_name=image, width=9, height=9)],
        annotations=objects,
        categories=[
            dict(id=i, name=name) for i, name in zip(ids, names, strict=True)
        ],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


# Annotation files of train and val, and the folders of their images.
LAYOUTS = {
    'coco': (
        ('annotations/instances_train2017.json', 'train2017'),
        ('annotations/instances_val2017.json', 'val2017'),
    ),
    'ours': (
        ('annotations/instances_train.json', 'train'),
        ('annotations/instances_val.json', 'val'),
    ),
    'roboflow': (
        ('train/_annotations.coco.json', 'train'),
        ('valid/_annotations.coco.json', 'valid'),
    ),
    'one folder': (('train.json', 'images'), ('val.json', 'images')),
    'flat': (('train.json', ''), ('val.json', '')),
    'images below': (
        ('annotations/train.json', 'images/train'),
        ('annotations/val.json', 'images/val'),
    ),
}


@pytest.mark.parametrize('name', LAYOUTS)
def test_layouts(tmp_path, name):
    for file, images in LAYOUTS[name]:
        write(tmp_path / file)
        touch(tmp_path / images / 'a.png')
    data = find_own_data(tmp_path)
    found = [(s.annotations, s.images) for s in (data.train, data.val)]
    assert found == [
        (tmp_path / file, tmp_path / images) for file, images in LAYOUTS[name]
    ]
    assert data.train.classes == CLASSES
    assert data.train.maskless == 0


def test_a_folder_behind_a_link(tmp_path):
    write(tmp_path / 'disk/train.json')
    touch(tmp_path / 'disk/a.png')
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data/coco').symlink_to(tmp_path / 'disk')
    data = find_own_data(tmp_path / 'data', validate=False)
    assert data.train.annotations == tmp_path / 'data/coco/train.json'
    assert data.train.images == tmp_path / 'data/coco'


def test_what_is_given_wins(tmp_path, monkeypatch):
    root = tmp_path / 'data'
    write(root / 'train.json')
    write(root / 'other.json', names=('x', 'y'), masks=False)
    write(tmp_path / 'elsewhere.json', names=('y', 'x'))
    touch(root / 'a.png', root / 'photos/a.png', tmp_path / 'far/a.png')
    monkeypatch.chdir(tmp_path)
    data = find_own_data(
        'data',
        train_ann='other.json',  # below the root
        val_ann='elsewhere.json',  # where we are
        train_img='photos',
        val_img=str(tmp_path / 'far'),
    )
    assert data.train.classes == ('x', 'y')
    assert data.train.annotations.resolve() == root / 'other.json'
    assert data.train.images.resolve() == root / 'photos'
    assert data.train.maskless == len(data.train.content['annotations']) > 0
    assert data.val.annotations.resolve() == tmp_path / 'elsewhere.json'
    assert data.val.images == tmp_path / 'far'


def test_validation_is_an_explicit_choice(tmp_path):
    write(tmp_path / 'train.json')
    touch(tmp_path / 'a.png')
    with pytest.raises(
        ValueError,
        match='no annotation file of val there.*give --val-ann FILE or '
        '--no-val to train without',
    ):
        find_own_data(tmp_path)
    assert find_own_data(tmp_path, validate=False).val is None


@pytest.mark.parametrize(
    ('options', 'named', 'unnamed'),
    [
        ('all', ['--val-ann', '--no-val'], []),
        ('files', ['--val-ann'], ['--no-val']),
        ('none', [], ['--train-ann', '--val-ann', '--no-val']),
    ],
)
def test_errors_name_the_options_that_a_command_has(
    tmp_path, options, named, unnamed
):
    write(tmp_path / 'train.json')
    touch(tmp_path / 'a.png')
    for given in ({}, dict(val_ann='train.json')):
        with pytest.raises(ValueError) as error:
            find_own_data(tmp_path, options=options, **given)
        for option in named:
            assert option in str(error.value)
        for option in unnamed:
            assert option not in str(error.value)


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        (dict(train_ann='gone.json'), '--train-ann: no file .*gone.json'),
        (dict(val_ann='gone.json'), '--val-ann: no file .*has .*train.json'),
        (dict(train_img='gone'), '--train-img: no folder'),
        (
            dict(val_img='empty'),
            "is 'a.png', expected an image file in .*empty; ",
        ),
    ],
)
def test_a_path_that_is_not_there(tmp_path, given, message):
    for split in ('train', 'val'):
        write(tmp_path / f'{split}.json')
    touch(tmp_path / 'a.png', tmp_path / 'empty/b.png')
    with pytest.raises(ValueError, match=message):
        find_own_data(tmp_path, **given)


def test_nothing_and_too_much(tmp_path):
    with pytest.raises(ValueError, match='--data-root: no folder'):
        find_own_data(tmp_path / 'gone')
    with pytest.raises(ValueError, match='no JSON file.*give --train-ann'):
        find_own_data(tmp_path)
    write(tmp_path / 'train_a.json')
    write(tmp_path / 'train_b.json')
    with pytest.raises(ValueError, match='2 annotation files could be meant'):
        find_own_data(tmp_path)


def test_images_nowhere(tmp_path):
    write(tmp_path / 'train.json')
    with pytest.raises(ValueError, match="'a.png'; give --train-img FOLDER"):
        find_own_data(tmp_path, validate=False)


def test_a_category_that_training_does_not_know(tmp_path):
    write(tmp_path / 'train.json')
    write(tmp_path / 'val.json', names=('cat', 'cow'))
    touch(tmp_path / 'a.png')
    with pytest.raises(ValueError, match='declares cow, which .*train.json'):
        find_own_data(tmp_path)


@pytest.mark.parametrize(
    ('names', 'ids', 'expected'),
    [
        (('cat', 'dog'), (90, 3), None),
        (('dog', 'cat'), (1, 2), [('cat', 2), ('dog', 1)]),
        (('dog',), (7,), [('cat', 8), ('dog', 7)]),
    ],
)
def test_labels_follow_the_training_file(tmp_path, names, ids, expected):
    write(tmp_path / 'train.json', ids=(20, 4))
    write(tmp_path / 'val.json', names, ids)
    touch(tmp_path / 'a.png')
    data = find_own_data(tmp_path)
    file = written(data.val, data.train.classes, tmp_path / 'made').annotations
    if expected is None:
        assert file == tmp_path / 'val.json'
        return
    assert list((tmp_path / 'made').iterdir()) == [file]
    before, after = (
        json.loads(path.read_text()) for path in (tmp_path / 'val.json', file)
    )
    categories = after.pop('categories')
    assert [(entry['name'], entry['id']) for entry in categories] == expected
    del before['categories']
    assert after == before
