"""A generated instance-segmentation data set in COCO format.

Six classes of flat shapes lie on textured backgrounds among blobs and
strokes.  They overlap, leave the picture, and come in all sizes, angles,
colours and textures: only the outline tells the class.  From a shell::

    python -m cbnet.datasets.generated.shapes --out data/shapes
"""

import argparse
import json
import os
import tempfile
from collections.abc import Sequence
from numbers import Integral
from pathlib import Path

import numpy as np
from mmengine.logging import print_log
from PIL import Image
from pycocotools import mask as coco_mask

from ...errors import UserValueError
from .outlines import CLASS_OUTLINES
from .scenes import Scene, make_scene

#: Class names in the order of the category ids, which start at 1.
CLASSES = tuple(CLASS_OUTLINES)

# Part of what tells whether a folder is complete: raise it when the same
# arguments come to draw other pictures.
_REVISION = 3
_SPLITS = ('train', 'val')
_MIN_EDGE = 64


def generate_shapes(
    root: str | os.PathLike,
    num_train: int = 320,
    num_val: int = 80,
    seed: int = 0,
    size: Sequence[int] = (320, 256),
) -> Path:
    """Write the data set, or leave it alone where it is complete.

    The folder gets ``train/`` and ``val/`` with the pictures (JPEG) and
    ``annotations/instances_train.json`` and ``instances_val.json`` (masks
    as compressed RLE).  It appears as a whole or not at all.  Picture i of
    a split depends on nothing but the seed, the split, i and the size.

    Args:
        root: Folder to write; it must be new, empty, or hold this very
            data set already.
        num_train: Pictures to train on.
        num_val: Pictures to validate on.
        seed: Non-negative seed of the whole data set.
        size: Width and height of the pictures, each 64 pixels or more.

    Returns:
        The folder.

    Raises:
        ValueError: An argument is out of range, or ``root`` holds something
            else, which is never overwritten.
    """
    parameters = {
        'revision': _REVISION,
        'num_train': _checked_int('num_train', num_train, 1),
        'num_val': _checked_int('num_val', num_val, 1),
        'seed': _checked_int('seed', seed, 0),
        'size': _checked_size(size),
    }
    root = Path(root)
    if _is_complete(root, parameters):
        print_log(f'{root} is complete already, left as it is', 'current')
        return root
    _refuse_foreign(root)

    # Links are followed, so that the renaming happens where the data lies.
    target = root.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix=f'.{target.name}-', dir=target.parent
    ) as scratch:
        # A subfolder, since the scratch folder itself is private to the
        # user and would hand its permissions on.
        made = Path(scratch, 'made')
        for split in _SPLITS:
            _write_split(made, split, parameters)
        try:
            if target.exists():
                target.rmdir()
            made.rename(target)
        except OSError:
            # Another process may have been first with the same data.
            if not _is_complete(root, parameters):
                raise
    print_log(
        f'Wrote {num_train} train and {num_val} val pictures to {root}',
        'current',
    )
    return root


def _checked_int(name: str, value: int, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise UserValueError(f'{name} must be an integer, got {value!r}')
    if value < least:
        raise UserValueError(f'{name} must be {least} or more, got {value}')
    return int(value)


def _checked_size(size: Sequence[int]) -> list[int]:
    if not isinstance(size, Sequence) or len(size) != 2:
        raise UserValueError(f'size must be (width, height), got {size!r}')
    return [_checked_int('size', edge, _MIN_EDGE) for edge in size]


def _annotation_file(root: Path, split: str) -> Path:
    return root / 'annotations' / f'instances_{split}.json'


def _is_complete(root: Path, parameters: dict) -> bool:
    """Whether a folder holds these data, down to the last picture."""
    for split in _SPLITS:
        try:
            content = json.loads(_annotation_file(root, split).read_text())
            if content['info']['parameters'] != parameters:
                return False
            names = [image['file_name'] for image in content['images']]
        except (OSError, ValueError, KeyError, TypeError):
            return False
        if not all((root / split / name).is_file() for name in names):
            return False
    return True


def _refuse_foreign(root: Path) -> None:
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return
    raise UserValueError(
        f'{root} exists but does not hold the data set asked for (complete, '
        'with the same num_train, num_val, seed and size). Nothing was '
        'changed: choose another folder, or remove this one if you do not '
        'need it'
    )


def _write_split(root: Path, split: str, parameters: dict) -> None:
    folder = root / split
    folder.mkdir(parents=True)
    images, annotations = [], []
    for index in range(parameters[f'num_{split}']):
        stream = np.random.SeedSequence(
            parameters['seed'], spawn_key=(_SPLITS.index(split), index)
        )
        scene = make_scene(np.random.default_rng(stream), parameters['size'])
        image = {
            'id': index + 1,
            'file_name': f'{index + 1:06d}.jpg',
            'width': parameters['size'][0],
            'height': parameters['size'][1],
            'license': 1,
        }
        # Full colour resolution: hue alone marks some of the edges.
        Image.fromarray(scene.image).save(
            folder / image['file_name'], quality=95, subsampling=0
        )
        images.append(image)
        annotations += _annotations(scene, image['id'], len(annotations) + 1)
    content = {
        'info': {
            'description': f'Generated shapes, {split}',
            'version': str(_REVISION),
            'contributor': 'cbnet',
            'url': '',
            'parameters': parameters,
        },
        'licenses': [{'id': 1, 'name': 'Apache-2.0', 'url': ''}],
        'images': images,
        'annotations': annotations,
        'categories': [
            {'id': index, 'name': name, 'supercategory': 'shape'}
            for index, name in enumerate(CLASSES, start=1)
        ],
    }
    path = _annotation_file(root, split)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, separators=(',', ':')))


def _annotations(scene: Scene, image_id: int, first_id: int) -> list[dict]:
    """COCO annotations of one scene: bbox xywh in pixels, RLE masks."""
    annotations = []
    for number, (label, mask) in enumerate(
        zip(scene.labels, scene.masks, strict=True)
    ):
        rle = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
        annotations.append(
            {
                'id': first_id + number,
                'image_id': image_id,
                'category_id': label + 1,
                'bbox': coco_mask.toBbox(rle).tolist(),
                'area': int(coco_mask.area(rle)),
                'segmentation': {
                    'size': list(rle['size']),
                    'counts': rle['counts'].decode('ascii'),
                },
                'iscrowd': 0,
            }
        )
    return annotations


def main(args: Sequence[str] | None = None) -> None:
    """Generate the data set from command-line arguments."""
    parser = argparse.ArgumentParser(
        prog='python -m cbnet.datasets.generated.shapes',
        description='Generate an instance-segmentation data set of shapes in '
        'COCO format. The same arguments give the same data.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        '--out',
        required=True,
        help='folder to write; new, empty, or complete already',
        default=argparse.SUPPRESS,
    )
    parser.add_argument(
        '--num-train', type=int, default=320, help='pictures to train on'
    )
    parser.add_argument(
        '--num-val', type=int, default=80, help='pictures to validate on'
    )
    parser.add_argument(
        '--seed', type=int, default=0, help='seed of the whole data set'
    )
    parser.add_argument(
        '--size',
        type=int,
        nargs=2,
        default=(320, 256),
        metavar=('WIDTH', 'HEIGHT'),
        help='size of the pictures in pixels',
    )
    options = parser.parse_args(args)
    try:
        generate_shapes(
            options.out,
            options.num_train,
            options.num_val,
            options.seed,
            options.size,
        )
    except ValueError as error:
        parser.error(str(error))


if __name__ == '__main__':
    main()
