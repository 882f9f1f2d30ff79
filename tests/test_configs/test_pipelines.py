"""The training pipelines of the configs, run on images.

1. The scales 1333x800, A (long side 1600, short side 400 to 1400) and C (as
   in DETR) give images of the promised sides, with boxes inside and masks of
   the same size; A and C cover their whole ranges, and C also crops.
2. Semantic maps follow their image through resize and flip.
3. The semantic branch: maps are padded with class 0 and scaled to 1/8 once;
   the loss is averaged over pixels that are not ignored, with weight 0.2.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmdet.registry import DATASETS, MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData, PixelData
from PIL import Image

CONFIGS = Path(__file__).parents[2] / 'configs' / 'cbnet'
#: (width, height) of the images; each reaches the limits of the scales
SIZES = [(96, 64), (64, 96), (80, 80)]


@pytest.fixture(scope='module')
def photos(tmp_path_factory):
    """Three images of two boxes; maps that hold 10 + label in each box."""
    root = tmp_path_factory.mktemp('photos')
    maps = root / 'stuffthingmaps' / 'train2017'
    maps.mkdir(parents=True)
    (root / 'train2017').mkdir()
    images, annotations = [], []
    for number, (width, height) in enumerate(SIZES, start=1):
        name = f'{number:012d}'
        image = np.zeros((height, width, 3), np.uint8)
        labels = np.full((height, width), 255, np.uint8)
        for label, (x, y) in enumerate([(4, 6), (34, 40)], start=1):
            image[y : y + 20, x : x + 24] = 100 * label
            labels[y : y + 20, x : x + 24] = 10 + label
            corners = [x, y, x + 24, y, x + 24, y + 20, x, y + 20]
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=number,
                    category_id=label,
                    bbox=[x, y, 24, 20],
                    area=480,
                    segmentation=[corners],
                    iscrowd=0,
                )
            )
        Image.fromarray(image).save(root / 'train2017' / f'{name}.png')
        Image.fromarray(labels).save(maps / f'{name}.png')
        images.append(
            dict(id=number, file_name=f'{name}.png', width=width,
                 height=height)
        )  # fmt: skip
    content = dict(
        images=images,
        annotations=annotations,
        categories=[dict(id=1, name='one'), dict(id=2, name='two')],
    )
    (root / 'annotations').mkdir()
    file = root / 'annotations' / 'instances_train2017.json'
    file.write_text(json.dumps(content))
    return root


def samples(name, root, count):
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    dataset = cfg.train_dataloader.dataset
    dataset.data_root = str(root)
    dataset.metainfo = dict(classes=('one', 'two'))
    with DefaultScope.overwrite_default_scope('mmdet'):
        data = DATASETS.build(dataset)
        assert len(data) == len(SIZES)
        return [data[number % len(data)] for number in range(count)]


@pytest.mark.parametrize(
    ('name', 'longest', 'shortest', 'limit'),
    [
        ('dual_r50', 1333, (800, 800), 800),
        ('dual_res2net101_dcn', 1600, (400, 1400), 1400),
        ('dual_swin_s', 1600, (400, 1400), 1400),
        ('dual_swin_t', 1333, (480, 800), 800),
    ],
)
def test_images_have_the_promised_sides(
    photos, name, longest, shortest, limit
):
    found = set()
    for sample in samples(name, photos, 12):
        height, width = sample['inputs'].shape[1:]
        # Sides are rounded to pixels.
        assert max(height, width) <= longest + 1
        assert shortest[0] - 1 <= min(height, width) <= limit + 1
        found.add(min(height, width))
        instances = sample['data_samples'].gt_instances
        boxes = instances.bboxes.tensor
        sides = torch.tensor([width, height] * 2)
        assert (boxes >= 0).all() and (boxes <= sides + 1e-3).all()
        if 'masks' in instances:
            masks = instances.masks
            assert (masks.height, masks.width) == (height, width)
        assert ('masks' in instances) == ('swin' in name)
    if shortest[0] < shortest[1]:
        assert len(found) > 3


def sides_of_squares(found):
    """The sides of the square photos that stayed square: the drawn scales."""
    sizes = [tuple(sample['inputs'].shape[1:]) for sample in found[2::3]]
    return [height for height, width in sizes if height == width]


@pytest.mark.parametrize('name', ['dual_res2net101_dcn', 'dual_swin_s'])
def test_large_scales_are_drawn_from_end_to_end(photos, name):
    sides = sides_of_squares(samples(name, photos, 180))
    assert len(sides) == 60
    assert 400 <= min(sides) < 450 and 1350 < max(sides) <= 1400


def test_detr_scales_and_crops(photos):
    found = samples('dual_swin_t', photos, 300)
    whole = sides_of_squares(found)
    assert set(whole) == set(range(480, 801, 32))
    shapes = [sample['inputs'].shape[1:] for sample in found]
    ratios = [width / height for height, width in shapes]
    parts = [
        ratio
        for ratio, (width, height) in zip(ratios, SIZES * 100, strict=True)
        if abs(ratio - width / height) > 0.01
    ]
    # Half of the images are parts of 384 to 600 pixels a side.
    assert 90 < len(parts) < 160
    assert 384 / 600 - 0.01 < min(parts) < 0.72
    assert 1.4 < max(parts) < 600 / 384 + 0.01


def test_maps_follow_their_images(photos):
    flips = set()
    for sample in samples('dual_swin_b', photos, 8):
        data = sample['data_samples']
        maps = data.gt_sem_seg.sem_seg
        assert maps.shape == (1, *sample['inputs'].shape[1:])
        assert set(maps.unique().tolist()) == {11, 12, 255}
        instances = data.gt_instances
        for box, label in zip(
            instances.bboxes.tensor, instances.labels, strict=True
        ):
            x, y = ((box[:2] + box[2:]) / 2).int().tolist()
            assert maps[0, y, x] == 11 + label
        flips.add(data.flip)
    assert flips == {False, True}


@pytest.fixture(scope='module')
def htc():
    return Config.fromfile(CONFIGS / 'dual_swin_b.py').model


def build(cfg):
    with DefaultScope.overwrite_default_scope('mmdet'):
        return MODELS.build(cfg)


def test_maps_are_padded_with_class_0(htc):
    batch = dict(inputs=[], data_samples=[])
    for height, width in ((40, 64), (64, 33)):
        batch['inputs'].append(torch.zeros(3, height, width))
        sample = DetDataSample(metainfo=dict(img_shape=(height, width)))
        sample.gt_instances = InstanceData()
        maps = torch.full((1, height, width), 7)
        sample.gt_sem_seg = PixelData(sem_seg=maps)
        batch['data_samples'].append(sample)
    preprocessor = build(htc.data_preprocessor)
    first, second = preprocessor(batch, training=True)['data_samples']
    for sample, (height, width) in ((first, (40, 64)), (second, (64, 33))):
        maps = sample.gt_sem_seg.sem_seg
        assert maps.shape == (1, 64, 64)
        assert (maps[:, :height, :width] == 7).all()
        assert maps[:, height:].sum() == maps[:, :, width:].sum() == 0


def test_semantic_loss(htc):
    head = build(htc.roi_head.semantic_head)
    labels = torch.randint(0, 183, (2, 1, 64, 96))
    labels[0, :, :40] = 255
    feats = [
        torch.randn(2, 256, 64 // stride, 96 // stride)
        for stride in (4, 8, 16, 32, 64)
    ]
    logits, _ = head(feats)
    found = head.loss(logits, labels)
    expected = F.cross_entropy(
        logits, labels[:, 0, ::8, ::8], ignore_index=255
    )
    torch.testing.assert_close(found, 0.2 * expected)
