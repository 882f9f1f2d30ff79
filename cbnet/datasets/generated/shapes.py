"""A generated instance-segmentation data set in COCO format.

Six classes of flat shapes lie on textured backgrounds among blobs and
strokes. They overlap, reach over the border, and have all sizes, angles,
colours and textures: only the outline reveals the class. From a shell::

    python -m cbnet.datasets.generated --out data/shapes
"""

import functools
import json
import math
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import print_log
from PIL import Image
from pycocotools import mask as coco_mask

from ...atomic_files import whole_folder
from ...errors import UserValueError
from ...messages import did_you_mean, listed
from .outlines import CLASS_OUTLINES
from .scenes import make_scene

#: the names of the classes in the order of the category ids, from 1
CLASSES = tuple(CLASS_OUTLINES)

# A folder of another revision is not complete: raise this number when the
# same arguments give other images.
_REVISION = 3
_SPLITS = ('train', 'val')
_MIN_EDGE = 64
# The images that a process draws at a time.
_CHUNK = 16


def generate_shapes(
    root: str | os.PathLike,
    num_train: int = 320,
    num_val: int = 80,
    seed: int = 0,
    size: Sequence[int] = (320, 256),
    classes: Sequence[str] = CLASSES,
    processes: int = 1,
) -> Path:
    """Write the data set, unless the folder already contains it.

    The folder gets ``train/`` and ``val/`` with the images (JPEG) and
    ``annotations/instances_train.json`` and ``instances_val.json`` (masks
    as compressed RLE). It appears completely or not at all. An image depends
    only on the seed, the split, the image's number in it, the size, and the
    classes.

    Args:
        root: the folder to write: new, empty, or already complete.
        num_train: the number of training images.
        num_val: the number of validation images.
        seed: the seed of the whole data set, not negative.
        size: the width and height of the images, each at least 64 pixels.
        classes: the names of the classes that are drawn, in the order of the
            category ids.
        processes: how many processes draw; the images are the same.

    Returns:
        The folder.

    Raises:
        ValueError: an argument is out of range, or the folder has other
            content, which is never overwritten.
    """
    if not isinstance(size, Sequence) or len(size) != 2:
        raise UserValueError(f'size must be (width, height), got {size!r}')
    parameters = {
        'revision': _REVISION,
        'num_train': _checked_int('num_train', num_train, 1),
        'num_val': _checked_int('num_val', num_val, 1),
        'seed': _checked_int('seed', seed, 0),
        'size': [_checked_int('size', edge, _MIN_EDGE) for edge in size],
        'classes': _checked_classes(classes),
    }
    _checked_int('processes', processes, 1)
    root = Path(root)
    if _is_complete(root, parameters):
        print_log(f'{root} is already complete, nothing to do', 'current')
        return root
    if root.is_file() or (root.is_dir() and any(root.iterdir())):
        raise UserValueError(
            f'{root} exists but is not the requested data set (complete, '
            'with the same num_train, num_val, seed, size and classes). '
            'Nothing was changed: choose another folder, or remove this one '
            'if you do not need it'
        )
    try:
        with whole_folder(root) as folder:
            for split in _SPLITS:
                _write_split(folder, split, parameters, processes)
    except OSError:
        # Another process may have written the same data in the meantime.
        if not _is_complete(root, parameters):
            raise
    done = f'Wrote {num_train} train and {num_val} val images to {root}'
    print_log(done, 'current')
    return root


def _checked_int(name: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise UserValueError(f'{name} must be an integer, got {value!r}')
    if value < least:
        raise UserValueError(f'{name} must be {least} or more, got {value}')
    return int(value)


def _checked_classes(classes: Sequence[str]) -> list[str]:
    names = [classes] if isinstance(classes, str) else list(classes)
    strange = [name for name in names if name not in CLASSES]
    if strange or not names or len(set(names)) < len(names):
        near = did_you_mean(strange[0], CLASSES) if strange else ''
        raise UserValueError(
            f'classes must be different ones of '
            f'{listed(CLASSES, len(CLASSES))}, got '
            f'{listed(names) or "none"}{near}'
        )
    return names


def _annotation_file(root: Path, split: str) -> Path:
    return root / 'annotations' / f'instances_{split}.json'


def _is_complete(root: Path, parameters: dict[str, Any]) -> bool:
    """Tell whether a folder contains these data and all their images."""
    for split in _SPLITS:
        try:
            content = json.loads(_annotation_file(root, split).read_text())
            found = content['info']['parameters']
            # Earlier versions drew all classes and did not say so.
            same = {'classes': list(CLASSES)} | found == parameters
            files = [root / split / i['file_name'] for i in content['images']]
        except (OSError, ValueError, KeyError, TypeError):
            return False
        if not same or not all(file.is_file() for file in files):
            return False
    return True


def _write_split(
    root: Path, split: str, parameters: dict[str, Any], processes: int
) -> None:
    (root / split).mkdir()
    size = dict(zip(('width', 'height'), parameters['size'], strict=True))
    numbers = range(1, parameters[f'num_{split}'] + 1)
    write = functools.partial(_write_image, root, split, parameters)
    images, annotations = [], []
    for number, found in zip(
        numbers, _in_processes(write, numbers, processes), strict=True
    ):
        name = _image_name(number)
        images.append(dict(id=number, file_name=name, **size, license=1))
        annotations += (
            dict(id=i, image_id=number, **annotation, iscrowd=0)
            for i, annotation in enumerate(found, len(annotations) + 1)
        )
    content = {
        'info': dict(
            description=f'Generated shapes, {split}',
            version=str(_REVISION),
            contributor='cbnet',
            url='',
            parameters=parameters,
        ),
        'licenses': [{'id': 1, 'name': 'Apache-2.0', 'url': ''}],
        'images': images,
        'annotations': annotations,
        'categories': [
            {'id': number, 'name': name, 'supercategory': 'shape'}
            for number, name in enumerate(parameters['classes'], start=1)
        ],
    }
    path = _annotation_file(root, split)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, separators=(',', ':')))


def _in_processes(
    function: Callable[[int], Any], numbers: Sequence[int], processes: int
) -> Iterator[Any]:
    """Yield the results in the order of the numbers."""
    processes = min(processes, math.ceil(len(numbers) / _CHUNK))
    if processes == 1:
        yield from map(function, numbers)
        return
    # A fork would copy the threads' locks of whatever is imported.
    with multiprocessing.get_context('spawn').Pool(processes) as pool:
        yield from pool.imap(function, numbers, _CHUNK)


def _image_name(number: int) -> str:
    return f'{number:06d}.jpg'


def _write_image(
    root: Path, split: str, parameters: dict[str, Any], number: int
) -> list[dict[str, Any]]:
    """Draw an image, and return its annotations: xywh boxes, RLE masks."""
    stream = np.random.SeedSequence(
        parameters['seed'], spawn_key=(_SPLITS.index(split), number - 1)
    )
    scene = make_scene(
        np.random.default_rng(stream),
        parameters['size'],
        parameters['classes'],
    )
    # Chroma is not subsampled, because only the hue marks some edges.
    Image.fromarray(scene.image).save(
        root / split / _image_name(number), quality=95, subsampling=0
    )
    annotations = []
    for label, mask in zip(scene.labels, scene.masks, strict=True):
        rle = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
        annotations.append(
            dict(
                category_id=label + 1,
                bbox=coco_mask.toBbox(rle).tolist(),
                area=int(coco_mask.area(rle)),
                segmentation=dict(rle, counts=rle['counts'].decode('ascii')),
            )
        )
    return annotations
