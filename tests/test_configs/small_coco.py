"""A few images in every layout that the extension configs read.

From the boxes and masks of any data set in COCO format: COCO itself, the
labels and images without labels of SoftTeacher, and made-up panoptic maps and
videos.
"""

import json
import shutil
from pathlib import Path

import numpy as np
from mmdet.datasets import (
    CocoDataset,
    CocoPanopticDataset,
    YouTubeVISDataset,
)
from PIL import Image
from pycocotools import mask as masks

SPLITS = 'train2017', 'val2017'
FRAMES, STEP = 3, 8  # of each video, and the pixels from one to the next


def write_small_coco(splits, root, number=4):
    """Write data/coco and data/youtube_vis_2021 below a folder.

    Args:
        splits: an annotation file and the folder of its images, for the
            images to train on and those to evaluate on.
        root: the folder.
        number: how many images of each split are taken.
    """
    coco, videos = root / 'data/coco', root / 'data/youtube_vis_2021'
    for folder in (coco, videos):
        (folder / 'annotations').mkdir(parents=True)
    for split, (file, images) in zip(SPLITS, splits, strict=True):
        content = _first(json.loads(Path(file).read_text()), number)
        (coco / split).mkdir()
        for image in content['images']:
            shutil.copy(Path(images, image['file_name']), coco / split)
        _write(coco / f'annotations/instances_{split}.json', content)
        _write_panoptic(coco, split, content)
        _write_videos(videos, split.removesuffix('2017'), content, coco)
        if split.startswith('train'):
            _write_semi(coco / 'semi_anns', content)


def _first(content, number):
    """Keep images with an object; the categories get COCO's names."""
    seen = {a['image_id'] for a in content['annotations'] if not a['iscrowd']}
    images = [i for i in content['images'] if i['id'] in seen][:number]
    names = CocoDataset.METAINFO['classes']
    if len(content['categories']) < len(names):
        content = dict(content, categories=_categories(names))
    return _part(content, images)


def _part(content, images):
    """Keep some images and what is in them."""
    kept = {image['id'] for image in images}
    found = [a for a in content['annotations'] if a['image_id'] in kept]
    return dict(content, images=images, annotations=found)


def _categories(names, first=1, **more):
    return [
        dict(id=k, name=name, **more) for k, name in enumerate(names, first)
    ]


def _write(path, content):
    path.write_text(json.dumps(content))


def _mask(annotation, image):
    """Decode a mask (H, W)."""
    parts, size = annotation['segmentation'], (image['height'], image['width'])
    if isinstance(parts, list) or isinstance(parts['counts'], list):
        parts = masks.frPyObjects(parts, *size)
    merged = masks.merge(parts) if isinstance(parts, list) else parts
    return masks.decode(merged).astype(bool)


def _write_semi(folder, content):
    """Write which images have labels: the first half."""
    folder.mkdir()
    half = len(content['images']) // 2
    parts = {'': slice(half), '-unlabeled': slice(half, None)}
    for name, part in parts.items():
        part = _part(content, content['images'][part])
        _write(folder / f'instances_train2017.1@10{name}.json', part)


def _write_panoptic(coco, split, content):
    """Write maps: the objects, above two kinds of stuff."""
    folder = coco / f'annotations/panoptic_{split}'
    folder.mkdir()
    things = [dict(c, isthing=1) for c in content['categories']]
    stuff = CocoPanopticDataset.METAINFO['stuff_classes']
    others = _categories(stuff, 101, isthing=0)
    annotations = []
    for image in content['images']:
        half = image['height'] // 2
        number = np.ones((image['height'], image['width']), np.int64)
        number[half:] = 2
        kinds = {1: (101, 0), 2: (102, 0)}
        for k, one in enumerate(_part(content, [image])['annotations'], 3):
            number[_mask(one, image)] = k
            kinds[k] = one['category_id'], one['iscrowd']
        segments = []
        for k in np.unique(number).tolist():
            rle = masks.encode(np.asfortranarray(number == k, np.uint8))
            segments.append(
                dict(
                    id=k,
                    category_id=kinds[k][0],
                    iscrowd=kinds[k][1],
                    bbox=masks.toBbox(rle).tolist(),
                    area=int((number == k).sum()),
                )
            )
        name = Path(image['file_name']).with_suffix('.png').name
        colours = np.stack([number % 256, number // 256, 0 * number], -1)
        Image.fromarray(colours.astype(np.uint8)).save(folder / name)
        annotations.append(
            dict(image_id=image['id'], file_name=name, segments_info=segments)
        )
    _write(
        folder.with_suffix('.json'),
        dict(content, annotations=annotations, categories=things + others),
    )


def _write_videos(root, split, content, coco):
    """Write videos that move over the images; the classes are made up."""
    out = 'valid' if split == 'val' else split
    images, annotations = [], []
    for video, image in enumerate(content['images'], 1):
        pixels = Image.open(coco / f'{split}2017' / image['file_name'])
        pixels = np.asarray(pixels.convert('RGB'))
        folder = root / out / 'JPEGImages' / str(video)
        folder.mkdir(parents=True)
        width = image['width'] - STEP * (FRAMES - 1)
        for frame in range(FRAMES):
            part = slice(STEP * frame, STEP * frame + width)
            name = f'{frame:05d}.jpg'
            Image.fromarray(pixels[:, part]).save(folder / name)
            images.append(
                dict(
                    id=len(images) + 1,
                    video_id=video,
                    frame_id=frame,
                    file_name=f'{video}/{name}',
                    width=width,
                    height=image['height'],
                )
            )
            for one in _part(content, [image])['annotations']:
                seen = np.asfortranarray(_mask(one, image)[:, part], np.uint8)
                if one['iscrowd'] or not seen.any():
                    continue
                rle = masks.encode(seen)
                annotations.append(
                    dict(
                        id=len(annotations) + 1,
                        image_id=images[-1]['id'],
                        video_id=video,
                        instance_id=one['id'],
                        category_id=one['category_id'] % 40 + 1,
                        bbox=masks.toBbox(rle).tolist(),
                        area=int(seen.sum()),
                        iscrowd=0,
                        segmentation=dict(rle, counts=rle['counts'].decode()),
                    )
                )
    YouTubeVISDataset.set_dataset_classes('2021')
    names = YouTubeVISDataset.METAINFO['classes']
    _write(
        root / f'annotations/youtube_vis_2021_{out}.json',
        dict(
            images=images,
            annotations=annotations,
            videos=[dict(id=k) for k in range(1, len(content['images']) + 1)],
            categories=_categories(names),
        ),
    )
