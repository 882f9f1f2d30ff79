r"""Convert a published CBNetV2 checkpoint; its config is found from its keys.

The published files are read as they are: zipped or not, averaged (SWA) or
not. Only the weights are kept. Before anything is written, the result is
loaded strictly into the config's detector.

Examples:
  cbnet published-to-cbnet \
      faster_rcnn_cbv2d1_r50_fpn_1x_coco.pth.zip dual_r50.pth
  cbnet published-to-cbnet own.pth dual_own.pth \
      --config configs/own.py
"""

from pathlib import Path

from ..argument_types import new_file
from ..command_parser import CommandParser


def make_parser() -> CommandParser:
    """Describe the command line."""
    parser = CommandParser(
        __name__, __doc__, 'IN.pth[.zip] OUT.pth [--config CONFIG]'
    )
    parser.option(
        'source IN.pth[.zip]', 'a checkpoint in the published layout', Path
    )
    parser.option('out OUT.pth', 'the file to write', new_file())
    parser.option(
        '--config CONFIG',
        'the config of the model, if it is not one of the published models '
        'or has other classes (default: the one that is found from the keys)',
    )
    return parser
