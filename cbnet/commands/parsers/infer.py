r"""Detect objects in images or in a video; draw them, and write the results.

A folder is searched with its subfolders, and its images are taken in the
order of their names. Only detections with a score of at least --score-thr are
drawn; the results file holds all that the detector returns, in COCO's format.

Examples:
  cbnet infer configs/cbnet/quickstart.py \
      work_dirs/quickstart/trained/iter_320.pth data/shapes/val
  cbnet infer my.py my.pth holiday.mp4 --score-thr 0.5
  cbnet infer my.py my.pth data/balloon/val --no-images \
      --ann data/balloon/annotations/instances_val.json --results balloons.json
"""

from pathlib import Path

from ..argument_types import (
    at_least,
    file_or_address,
    fraction,
    new_file,
    new_folder,
)
from ..command_parser import CommandParser
from ..options import (
    add_fast_option,
    add_full_masks_option,
    add_tta_options,
    add_verify_option,
    config_parser,
)


def make_parser() -> CommandParser:
    """Describe the command line."""
    parser = config_parser(
        __name__, __doc__, 'CONFIG CHECKPOINT IMAGE|FOLDER|VIDEO'
    )
    parser.option(
        'checkpoint', 'the file or address of the weights', file_or_address
    )
    parser.option('input', 'an image, a folder of images, or a video', Path)
    parser.option(
        '--out-dir DIR',
        'where drawn images and results go '
        '(default: ./work_dirs/<name of the config>/infer)',
        new_folder,
    )
    parser.option(
        '--score-thr S',
        'the lowest score that is drawn',
        fraction,
        default=0.3,
    )
    parser.option(
        '--device NAME', 'cpu, cuda:0, ... (default: a GPU if there is one)'
    )
    parser.option(
        '--batch-size N',
        'the number of images at a time (default: 1); in larger batches '
        'images are padded to the largest, which changes scores a little',
        at_least(1),
        default=1,
    )
    parser.option('--no-images', 'write only the results')
    parser.option(
        '--results FILE.json',
        'the results file; FILE.images.json beside it lists the ids of '
        'images and classes (default: DIR/results.json)',
        new_file('.json'),
    )
    parser.option(
        '--ann FILE.json',
        'take the ids of images and classes from this COCO annotation '
        'file, by their names (default: numbered from 1)',
    )
    add_tta_options(parser)
    add_fast_option(parser)
    add_full_masks_option(parser)
    add_verify_option(parser)
    return parser
