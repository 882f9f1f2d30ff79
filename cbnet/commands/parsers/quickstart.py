"""Generate a data set, train a composite detector, show what it learned.

The command fine-tunes a dual EfficientNet-Lite0 Mask R-CNN on generated
shapes, evaluates it on other images, and writes a table and a sheet of
detections. Everything goes into the current folder: data/shapes and
work_dirs/quickstart. After an interruption, the same command continues.

Examples:
  cbnet quickstart
  cbnet quickstart --work-dir runs/fcc --cfg-options model.backbone.style=fcc
"""

from pathlib import Path

from ..argument_types import new_folder
from ..command_parser import CommandParser


def make_parser() -> CommandParser:
    """Describe the command line."""
    parser = CommandParser(__name__, __doc__)
    for split, use, number in (('train', 'train', 320), ('val', 'test', 80)):
        parser.option(
            f'--num-{split} N',
            f'the number of images to {use} on',
            int,
            default=number,
        )
    parser.option(
        '--cfg-options KEY=VALUE ...',
        'override settings of the config in all runs; '
        'give another --work-dir than before',
        default=[],
    )
    parser.option(
        '--work-dir DIR',
        'the folder for checkpoints, logs and results',
        new_folder,
        default=Path('work_dirs', 'quickstart'),
    )
    return parser
