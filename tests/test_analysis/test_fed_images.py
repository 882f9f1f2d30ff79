"""Images as a config feeds them to its model.

Without augmentation, pixels, boxes and masks are those of the files, for
either order of the channels. Flips, padding and scales are visible and named;
crowds are marked. Batches, mixed images and several branches are shown as in
training. Images that are filtered out or refused by the pipeline are counted
with the reason. Missing and broken files are named.
"""

import copy
import json
import shutil
from itertools import islice

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from cbnet.analysis.contact_sheet import contact_sheet, single_images
from cbnet.analysis.fed_images import FedImages
from cbnet.datasets.annotations import CocoAnnotations
from cbnet.errors import UserError

LOAD = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
]
PACK = dict(type='PackDetInputs')


@pytest.fixture
def config(tiny_coco):
    """Make a config of the tiny data set with the given pipeline."""

    def make(*transforms, load=LOAD, wrap=None, preprocessor=None, **changes):
        dataset = dict(
            type='CocoDataset',
            data_root=str(tiny_coco.root),
            ann_file='train.json',
            data_prefix=dict(img='train/'),
            metainfo=dict(classes=tiny_coco.classes),
            pipeline=[*load, *transforms, PACK],
        )
        dataset.update(changes)
        loader = dict(
            batch_size=2,
            num_workers=2,
            persistent_workers=True,
            prefetch_factor=2,
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=wrap(dataset) if wrap else dataset,
        )
        plain = dict(
            type='DetDataPreprocessor',
            mean=[123.675, 116.28, 103.53],
            std=[58.395, 57.12, 57.375],
            bgr_to_rgb=True,
            pad_mask=True,
            pad_size_divisor=32,
        )
        model = dict(data_preprocessor={**plain, **(preprocessor or {})})
        return Config(dict(train_dataloader=loader, model=model))

    return make


@pytest.fixture
def pixels(tiny_coco):
    def read(name):
        with Image.open(tiny_coco.root / 'train' / name) as image:
            return np.asarray(image.convert('RGB'))

    return read


@pytest.mark.parametrize(
    ('changes', 'note'),
    [
        ({}, 'fed as RGB, mean 123.675 116.28 103.53, std 58'),
        (dict(bgr_to_rgb=False), 'fed as BGR, mean'),
        (dict(mean=None, std=None, pad_size_divisor=1), 'fed as RGB'),
    ],
)
def test_nothing_augmented_is_the_file(
    config, tiny_coco, pixels, changes, note
):
    fed = FedImages(config(preprocessor=changes))
    images = list(fed)
    truth = CocoAnnotations(tiny_coco.root / 'train.json')
    assert [image.name for image in images] == [
        '001.png', '002.png', '003.png', '004.png'
    ]  # fmt: skip
    for number, image in enumerate(images, start=1):
        assert np.array_equal(image.pixels, pixels(image.name))
        expected = truth.instances(number)
        instances = image.instances
        assert len(instances) == len(expected)
        for i, one in enumerate(expected):
            x, y, width, height = one.box
            xyxy = (x, y, x + width, y + height)
            assert np.allclose(instances.bboxes[i], xyxy)
            assert np.array_equal(instances.masks[i], one.mask)
    assert images[0].instances.labels.tolist() == [0, 1]
    # the crowd, a triangle, is ignored
    assert images[3].instances.labels.tolist() == [0, 1]
    assert images[3].instances.ignored.tolist() == [False, True]
    assert images[0].details == '96x64 of 96x64'
    assert fed.classes == ['square', 'triangle']
    assert fed.notes[-1].startswith(note)


def test_polygons_stay_masks(config):
    plain = next(iter(FedImages(config()))).instances.masks[0]
    load = [LOAD[0], dict(type='LoadAnnotations', with_bbox=True)]
    load[1].update(with_mask=True, poly2mask=False)
    first = next(iter(FedImages(config(load=load))))
    assert (first.instances.masks[0] ^ plain).mean() < 0.02


def test_flip_scale_and_padding_are_seen(config, pixels):
    cfg = config(
        dict(type='Resize', scale=(48, 32), keep_ratio=True),
        dict(type='RandomFlip', prob=1.0),
        preprocessor=dict(pad_size_divisor=64),
    )
    image = next(iter(FedImages(cfg)))
    assert image.details == (
        '48x32 in 64x64 of 96x64, scale 0.5x0.5, flip horizontal'
    )
    assert image.content == (32, 48) and image.pixels.shape == (64, 64, 3)
    # the square at 8..32 of 96, mirrored and halved
    assert np.allclose(image.instances.bboxes[0], (32, 4, 44, 16))
    square = image.instances.masks[0]
    assert square.shape == (64, 64)
    assert square[5:15, 33:43].all() and square.sum() < 170
    # padding is the mean, which is zero to the model
    assert np.abs(image.pixels[40, 60] - np.array([124, 116, 104])).max() == 0
    half = pixels('001.png')[:, ::-1].reshape(32, 2, 48, 2, 3).mean((1, 3))
    assert np.abs(image.pixels[:32, :48] - half).mean() < 2


def test_a_batch_is_padded_to_its_largest(config):
    cfg = config(
        dict(
            type='RandomChoiceResize',
            scales=[(96, 64), (48, 32)],
            keep_ratio=True,
        ),
        preprocessor=dict(pad_size_divisor=1),
    )
    cfg.train_dataloader.sampler = dict(type='InfiniteSampler')
    images = list(islice(FedImages(cfg, seed=1), 12))
    contents = {image.content for image in images}
    assert contents == {(64, 96), (32, 48)}
    mixed = [i for i in images if i.content != i.pixels.shape[:2]]
    assert mixed and all(i.pixels.shape == (64, 96, 3) for i in mixed)


def test_seeds(config):
    def flips(seed):
        cfg = config(dict(type='RandomFlip', prob=0.5))
        cfg.train_dataloader.sampler = dict(type='InfiniteSampler')
        before = copy.deepcopy(cfg.to_dict())
        images = list(islice(FedImages(cfg, seed=seed), 10))
        assert cfg.to_dict() == before
        return [image.name + image.details for image in images]

    assert flips(0) == flips(0) != flips(1)


def test_mixed_images(config):
    def wrap(dataset):
        dataset['pipeline'] = LOAD[:1] + [
            dict(type='LoadAnnotations', with_bbox=True)
        ]
        mosaic = dict(type='Mosaic', img_scale=(96, 64), prob=1.0)
        return dict(
            type='MultiImageMixDataset',
            dataset=dict(type='RepeatDataset', times=3, dataset=dataset),
            pipeline=[mosaic, PACK],
        )

    cfg = config(
        wrap=wrap,
        preprocessor=dict(
            pad_size_divisor=1,
            batch_augments=[
                dict(
                    type='BatchSyncRandomResize',
                    random_size_range=(64, 96),
                    interval=2,
                )
            ],
        ),
    )
    fed = FedImages(cfg)
    images = list(fed)
    assert len(images) == 12
    assert images[0].pixels.shape == (128, 192, 3)
    assert len(images[0].instances) > 2 and 'masks' not in images[0].instances
    sizes = {image.pixels.shape for image in images}
    assert len(sizes) > 1  # the batch augmentation
    assert fed.notes[0].startswith('train.json: 4 of 4 images and')


def test_branches(config):
    branches = dict(type='MultiBranch', branch_field=['sup', 'plain'])
    cfg = config()
    cfg.train_dataloader.dataset.pipeline[-1:] = [
        dict(**branches, sup=PACK, plain=dict(type='PackDetInputs'))
    ]
    cfg.model.data_preprocessor = dict(
        type='MultiBranchDataPreprocessor',
        data_preprocessor=cfg.model.data_preprocessor,
    )
    fed = FedImages(cfg)
    images = list(islice(fed, 4))
    assert [image.details.split(',')[0] for image in images] == [
        'sup', 'sup', 'plain', 'plain'
    ]  # fmt: skip
    assert fed.notes[-1].startswith('fed as RGB, mean')


@pytest.mark.parametrize(
    ('filter_cfg', 'changes', 'note'),
    [
        (None, {}, '4 of 4 images and 4 objects are used'),
        (
            dict(filter_empty_gt=True),
            {},
            '1 image without objects of the classes',
        ),
        (
            dict(filter_empty_gt=True, min_size=10),
            dict(metainfo=dict(classes=('square',))),
            '2 of 4 images and 2 objects are used (square 2)',
        ),
        (
            dict(filter_empty_gt=True),
            dict(indices=2),
            '2 of 4 images',
        ),
        (
            dict(filter_empty_gt=True, min_size=70),
            dict(ann_file='wide.json'),
            '2 images smaller than 70 pixels (min_size), 1 image without',
        ),
        (dict(min_size=70), dict(test_mode=True), '4 of 4 images'),
    ],
)
def test_filtered_images_are_counted(
    config, tiny_coco, tmp_path, filter_cfg, changes, note
):
    if 'ann_file' in changes:
        content = json.loads((tiny_coco.root / 'train.json').read_text())
        content['images'][0].update(width=100, height=80)
        path = tmp_path / changes['ann_file']
        path.write_text(json.dumps(content))
        changes = dict(ann_file=str(path))
    fed = FedImages(config(filter_cfg=filter_cfg, **changes))
    assert note in ' '.join(fed.notes[:-1])


def test_each_data_set_of_several_has_its_note(config):
    def wrap(dataset):
        other = dict(dataset, ann_file='val.json')
        return dict(type='ConcatDataset', datasets=[dataset, other])

    notes = FedImages(config(wrap=wrap)).notes
    files = [note for note in notes if '.json: ' in note]
    assert files[0].startswith('train.json: 4') and len(files) == 2
    assert files[1].startswith('val.json: 2')


def test_refused_images_are_named(config):
    """Only the images 2 and 4 have an object above 35 pixels."""
    # in mmdet, keep_empty=True drops images that become empty
    refuse = dict(type='FilterAnnotations', keep_empty=True)
    refuse.update(min_gt_bbox_wh=(35, 35))
    cfg = config(refuse, filter_cfg=dict(filter_empty_gt=True))
    images = list(FedImages(cfg))
    assert [image.instead_of for image in images] == ['001.png', '', '']
    assert images[0].name in ('002.png', '004.png')


def test_validation_is_shown_as_it_is(config, tiny_coco):
    cfg = config(test_mode=True, ann_file='val.json')
    cfg.val_dataloader = cfg.pop('train_dataloader')
    cfg.val_dataloader.dataset.data_prefix.img = 'val/'
    cfg.model.data_preprocessor.pad_size_divisor = 80
    first, second = FedImages(cfg, 'val')
    assert first.pixels.shape == (80, 160, 3)
    # in validation, the model does not pad masks
    assert first.instances.masks[0].shape == (80, 160)
    with pytest.raises(ValueError, match='config has no train_dataloader'):
        FedImages(cfg)


def test_no_ground_truth_in_the_pipeline(config):
    image = next(iter(FedImages(config(load=LOAD[:1]))))
    assert len(image.instances) == 0
    assert image.details.endswith('no ground truth in the pipeline')


def test_missing_and_misfit_data_are_named(config, tiny_coco, tmp_path):
    root = tmp_path / 'copy'
    shutil.copytree(tiny_coco.root, root)
    (root / 'broken.json').write_text('{"images"')
    keep = dict(filter_empty_gt=True)
    for changes, message in (
        (dict(ann_file='gone.json'), 'train_dataloader .*copy/gone.json.: Fi'),
        (dict(ann_file='broken.json'), 'copy/broken.json.: JSONDecodeError'),
        (
            dict(metainfo=dict(classes=('cat',)), filter_cfg=keep),
            'train.json.: no image is left.*metainfo.classes.*min_size',
        ),
    ):
        with pytest.raises(ValueError, match=message):
            FedImages(config(data_root=str(root), **changes))
    cfg = config(data_root=str(root))
    path = root / 'train' / '002.png'
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(UserError, match='train/002.png .* does not pass'):
        list(FedImages(cfg))
    path.unlink()
    with pytest.raises(UserError, match='002.png.*FileNotFoundError'):
        list(FedImages(cfg))


def shown(axes):
    return axes.images[0].get_array().astype(int)


def test_sheet_has_every_image(config, pixels):
    fed = FedImages(config())
    images = list(fed)
    figure = contact_sheet(images, fed.classes, fed.notes, 3, 300)
    assert figure.get_suptitle() == '\n'.join(fed.notes)
    titles = [axes.get_title('left') for axes in figure.axes]
    assert titles[0] == '001.png\n96x64 of 96x64' and len(titles) == 4
    for image, axes in zip(images, figure.axes, strict=True):
        assert shown(axes).shape == (200, 300, 3)
        original = pixels(image.name).astype(int)
        change = np.abs(shown(axes).mean((0, 1)) - original.mean((0, 1)))
        # the image without objects keeps its colours
        assert (change.max() < 1.5) == (len(image.instances) == 0)


def test_sheet_shows_crowds_in_grey(config):
    fed = FedImages(config())
    image = list(fed)[3]
    image.pixels[:] = 0
    image.instances.bboxes[1, :2] += 4  # apart from its mask
    (plain,) = contact_sheet([image], fed.classes, [], width=960).axes
    image.instances.ignored[:] = False
    (other,) = contact_sheet([image], fed.classes, [], width=960).axes
    _, top, right, bottom = (image.instances.bboxes[1] * 10).round().int()
    edge = shown(plain)[(top + bottom) // 2, right]
    assert np.ptp(edge) < 4 and edge.max() > 60
    assert np.ptp(shown(other)[(top + bottom) // 2, right]) > 40


def test_sheet_marks_the_padding(config):
    cfg = config(preprocessor=dict(pad_size_divisor=128))
    (padded, *_), fed = list(FedImages(cfg)), FedImages(cfg)
    (plain, *_) = FedImages(config())
    lines = [
        contact_sheet([image], fed.classes, [], width=256).axes[0].lines
        for image in (padded, plain)
    ]
    assert [len(found) for found in lines] == [1, 0]
    assert lines[0][0].get_xydata().tolist() == [
        [0, 128],
        [192, 128],
        [192, 0],
    ]


def test_large_images_are_shrunk_with_their_objects(config):
    cfg = config(dict(type='Resize', scale=(960, 640), keep_ratio=True))
    fed = FedImages(cfg)
    image = next(iter(fed))
    image.instances = image.instances[:1]
    (axes,) = contact_sheet([image], fed.classes, [], width=240).axes
    image.pixels[:] = 0
    (axes,) = contact_sheet([image], fed.classes, [], width=240).axes
    drawn = np.argwhere(shown(axes).max(axis=2) > 40)
    # the square at 80..320, and half of the line around it
    assert np.abs(drawn.min(axis=0) - 20).max() <= 3
    assert np.abs(drawn.max(axis=0) - 80).max() <= 3
    (figure,) = single_images([image], fed.classes, [])
    assert shown(figure.axes[0]).shape == (640, 960, 3)
