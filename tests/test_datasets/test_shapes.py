"""The data set on disk: what is written, how it reads, what is refused.

Scenarios: the same arguments give the same bytes, and an image depends only
on its index; annotations agree with their masks, which never overlap;
pycocotools and mmdet read them alike; all classes and sizes occur; colour
does not tell the class; writing is all or nothing, repeated runs change
nothing, foreign folders are refused.
"""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from cbnet.datasets.generated import scenes, shapes
from cbnet.datasets.generated.__main__ import main
from cbnet.datasets.generated.shapes import CLASSES, generate_shapes

SIZE = (320, 256)


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp('shapes') / 'data'
    return generate_shapes(root, num_train=60, num_val=40, seed=3)


@pytest.fixture
def said(monkeypatch):
    """What the module says through the log."""
    messages = []
    monkeypatch.setattr(
        shapes, 'print_log', lambda message, logger: messages.append(message)
    )
    return messages


def contents(root):
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob('*'))
        if path.is_file()
    }


def small(root, **changes):
    arguments = {'num_train': 2, 'num_val': 1, 'size': (96, 80)}
    return generate_shapes(root, **(arguments | changes))


def load(root, split):
    path = root / 'annotations' / f'instances_{split}.json'
    return json.loads(path.read_text())


def decoded(content):
    """Annotations with their masks, by image id."""
    found = {image['id']: [] for image in content['images']}
    for annotation in content['annotations']:
        mask = coco_mask.decode(annotation['segmentation']).astype(bool)
        found[annotation['image_id']].append((annotation, mask))
    return found


def pixels(root, split, image_id):
    with Image.open(root / split / f'{image_id:06d}.jpg') as image:
        return np.asarray(image).astype(float)


def test_same_arguments_same_bytes(tmp_path):
    first = contents(small(tmp_path / 'a', seed=1))
    second = contents(small(tmp_path / 'b', seed=1))
    other = contents(small(tmp_path / 'c', seed=2))
    assert len(first) == 5
    assert first == second
    assert first.keys() == other.keys()
    assert all(first[name] != other[name] for name in first)


def test_processes_share_the_images(tmp_path):
    together = small(tmp_path / 'a', num_train=20, processes=2)
    alone = small(tmp_path / 'b', num_train=20)
    assert contents(together) == contents(alone)


def test_image_does_not_depend_on_how_many_are_made(data, tmp_path):
    few = generate_shapes(tmp_path / 'few', num_train=3, num_val=1, seed=3)
    for index in (1, 2, 3):
        name = f'train/{index:06d}.jpg'
        assert (few / name).read_bytes() == (data / name).read_bytes()
    many = load(data, 'train')['annotations']
    one = load(few, 'train')['annotations']
    assert one == many[: len(one)]


def test_only_the_classes_that_were_asked_for_are_drawn(tmp_path):
    names = ['ring', 'star']
    few = small(tmp_path / 'few', num_train=12, classes=names)
    content = load(few, 'train')
    assert [one['name'] for one in content['categories']] == names
    assert {one['category_id'] for one in content['annotations']} == {1, 2}
    filled = {
        label: np.median(
            [
                one['area'] / (one['bbox'][2] * one['bbox'][3])
                for one in content['annotations']
                if one['category_id'] == label
            ]
        )
        for label in (1, 2)
    }
    # A whole ring fills 0.59 of its box, a star less than half of it.
    assert filled[1] > 0.52 > filled[2], filled


def test_a_folder_of_earlier_versions_has_all_classes(tmp_path):
    root = small(tmp_path / 'old')
    for split in ('train', 'val'):
        path = root / 'annotations' / f'instances_{split}.json'
        content = json.loads(path.read_text())
        content['info']['parameters'].pop('classes')
        path.write_text(json.dumps(content))
    before = contents(root)
    assert small(root) == root
    assert contents(root) == before
    with pytest.raises(ValueError, match='classes'):
        small(root, classes=['ring'])


def test_train_and_val_differ(data):
    files = contents(data)
    train = {v for k, v in files.items() if k.startswith('train')}
    val = {v for k, v in files.items() if k.startswith('val')}
    assert (len(train), len(val)) == (60, 40)
    assert not train & val


@pytest.mark.parametrize('split', ['train', 'val'])
def test_annotations_agree_with_masks(data, split):
    content = load(data, split)
    assert {'info', 'licenses', 'images', 'annotations', 'categories'} == set(
        content
    )
    names = [category['name'] for category in content['categories']]
    assert tuple(names) == CLASSES
    ids = [annotation['id'] for annotation in content['annotations']]
    assert ids == list(range(1, len(ids) + 1))
    for image in content['images']:
        assert (image['width'], image['height']) == SIZE
        assert pixels(data, split, image['id']).shape == (256, 320, 3)
    for instances in decoded(content).values():
        assert 3 <= len(instances) <= 7
        assert sum(mask.astype(int) for _, mask in instances).max() == 1
        for annotation, mask in instances:
            rows, columns = np.nonzero(mask)
            x, y = columns.min(), rows.min()
            box = [x, y, columns.max() + 1 - x, rows.max() + 1 - y]
            assert mask.shape == (256, 320)
            assert annotation['area'] == mask.sum() > 0
            assert annotation['bbox'] == box
            assert annotation['iscrowd'] == 0
            assert 1 <= annotation['category_id'] <= len(CLASSES)


def test_pycocotools_and_mmdet_read_the_masks(data):
    # Only after cbnet: it serves the operators that mmdet imports.
    from mmdet.datasets import CocoDataset

    coco = COCO(str(data / 'annotations' / 'instances_val.json'))
    dataset = CocoDataset(
        ann_file='annotations/instances_val.json',
        data_root=str(data),
        data_prefix={'img': 'val/'},
        metainfo={'classes': CLASSES},
        pipeline=[
            {'type': 'LoadImageFromFile'},
            {'type': 'mmdet.LoadAnnotations', 'with_mask': True},
        ],
    )
    assert len(dataset) == 40
    sample = dataset[0]
    wanted = decoded(load(data, 'val'))[sample['img_id']]
    assert sample['img'].shape == (256, 320, 3)
    assert len(sample['gt_masks'].masks) == len(wanted)
    for place, (annotation, mask) in enumerate(wanted):
        label = sample['gt_bboxes_labels'][place]
        assert label == annotation['category_id'] - 1
        assert np.array_equal(sample['gt_masks'].masks[place], mask)
        assert np.array_equal(coco.annToMask(annotation), mask)
        box = sample['gt_bboxes'].tensor[place].tolist()
        x, y, w, h = annotation['bbox']
        assert box == [x, y, x + w, y + h]


def test_all_size_classes_and_labels_are_well_represented(data):
    annotations = load(data, 'train')['annotations']
    area = np.array([a['area'] for a in annotations])
    share = [
        np.mean(area < 32**2),
        np.mean((area >= 32**2) & (area <= 96**2)),
        np.mean(area > 96**2),
    ]
    assert min(share) > 0.1
    counts = np.bincount([a['category_id'] for a in annotations])[1:]
    assert counts.min() > 0.5 * len(annotations) / len(CLASSES)


def test_colour_does_not_tell_the_class(data):
    """The class with the nearest mean colour is no more than a guess."""
    features, labels = {}, {}
    for split in ('train', 'val'):
        seen = [
            (pixels(data, split, image_id)[mask], a['category_id'])
            for image_id, instances in decoded(load(data, split)).items()
            for a, mask in instances
        ]
        features[split] = np.array([p.mean(axis=0) for p, _ in seen])
        labels[split] = np.array([label for _, label in seen])
    known = np.unique(labels['train'])
    means = np.array(
        [features['train'][labels['train'] == c].mean(axis=0) for c in known]
    )
    inverse = np.linalg.inv(np.cov(features['train'], rowvar=False))
    gap = features['val'][:, None] - means
    distance = np.einsum('nci,ij,ncj->nc', gap, inverse, gap)
    guess = known[distance.argmin(axis=1)]
    chance, number = 1 / len(CLASSES), len(guess)
    limit = chance + 3 * np.sqrt(chance * (1 - chance) / number)
    assert number > 150
    assert (guess == labels['val']).mean() < limit


def test_complete_folder_is_left_alone(tmp_path, said):
    root = small(tmp_path / 'data')
    before = {p: p.stat().st_mtime_ns for p in root.rglob('*')}
    assert small(root) == root
    assert {p: p.stat().st_mtime_ns for p in root.rglob('*')} == before
    assert 'already complete' in said[-1]
    assert [p.name for p in tmp_path.iterdir()] == ['data']


def test_empty_folder_is_filled(tmp_path, said):
    (tmp_path / 'data').mkdir()
    small(tmp_path / 'data')
    assert len(contents(tmp_path / 'data')) == 5
    assert 'Wrote 2 train and 1 val' in said[-1]


def test_link_is_followed(tmp_path):
    (tmp_path / 'disk').mkdir()
    (tmp_path / 'data').symlink_to(tmp_path / 'disk')
    small(tmp_path / 'data')
    assert (tmp_path / 'data').is_symlink()
    assert len(contents(tmp_path / 'disk')) == 5


@pytest.mark.parametrize(
    'spoil',
    [
        lambda root: (root / 'val' / '000001.jpg').unlink(),
        lambda root: (root / 'annotations/instances_val.json').write_text(''),
        lambda root: shutil.rmtree(root / 'annotations'),
    ],
)
def test_incomplete_folder_is_refused(tmp_path, spoil):
    root = small(tmp_path / 'data')
    spoil(root)
    before = contents(root)
    with pytest.raises(ValueError, match=str(root)):
        small(root)
    assert contents(root) == before


@pytest.mark.parametrize(
    'change',
    [
        {'seed': 1},
        {'num_train': 3},
        {'num_val': 2},
        {'size': (96, 96)},
        {'classes': ['ring']},
    ],
)
def test_other_parameters_are_refused(tmp_path, change):
    root = small(tmp_path / 'data')
    before = contents(root)
    with pytest.raises(ValueError, match='choose another folder'):
        small(root, **change)
    assert contents(root) == before


def test_foreign_folder_and_file_are_refused(tmp_path):
    (tmp_path / 'thesis.tex').write_text('years of work')
    for root in (tmp_path, tmp_path / 'thesis.tex'):
        with pytest.raises(ValueError, match=str(root)):
            small(root)
    assert contents(tmp_path) == {'thesis.tex': b'years of work'}


def test_interrupted_run_leaves_nothing(tmp_path, monkeypatch):
    made = []

    def interrupted(*args):
        made.append(args)
        if len(made) == 3:
            raise KeyboardInterrupt
        return scenes.make_scene(*args)

    monkeypatch.setattr(shapes, 'make_scene', interrupted)
    with pytest.raises(KeyboardInterrupt):
        small(tmp_path / 'data')
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    assert len(contents(small(tmp_path / 'data'))) == 5


@pytest.mark.parametrize('same', [True, False])
def test_another_process_is_first(tmp_path, monkeypatch, same):
    root = tmp_path / 'data'
    elsewhere = small(tmp_path / 'elsewhere', seed=0 if same else 1)
    made = []

    def overtaken(*args):
        made.append(args)
        if len(made) == 3:
            shutil.copytree(elsewhere, root)
        return scenes.make_scene(*args)

    monkeypatch.setattr(shapes, 'make_scene', overtaken)
    if same:
        small(root)
    else:
        with pytest.raises(OSError):
            small(root)
    assert contents(root) == contents(elsewhere)
    assert {p.name for p in tmp_path.iterdir()} == {'data', 'elsewhere'}


@pytest.mark.parametrize(
    'change',
    [
        {'num_train': 0},
        {'num_train': 2.0},
        {'num_val': -1},
        {'num_val': True},
        {'seed': -1},
        {'seed': None},
        {'size': (320,)},
        {'size': (320, 63)},
        {'size': 320},
        {'classes': ()},
        {'classes': ['ring', 'ring']},
        {'classes': ['rings']},
        {'classes': 'rings'},
        {'processes': 0},
    ],
)
def test_bad_argument_is_named(tmp_path, change):
    with pytest.raises(ValueError, match=f'^{next(iter(change))} must be'):
        small(tmp_path / 'data', **change)
    assert list(tmp_path.iterdir()) == []


def test_command(tmp_path, capsys):
    arguments = '--num-train 1 --num-val 1 --seed 4 --size 96 80'.split()
    main(['--out', str(tmp_path / 'data'), *arguments])
    wanted = small(tmp_path / 'api', num_train=1, seed=4)
    assert contents(tmp_path / 'data') == contents(wanted)
    with pytest.raises(SystemExit):
        main(['--out', str(tmp_path / 'no'), '--num-val', '0'])
    assert 'num_val must be 1 or more' in capsys.readouterr().err
