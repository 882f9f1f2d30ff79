r"""Turn a published CBNetV2 config (mmdet 2.x) into one for this package.

Examples:
  cbnet migrate-config \
      CBNetV2/configs/cbnet/faster_rcnn_cbv2d1_r50_fpn_1x_coco.py \
      --out configs/dual.py
"""

from ..argument_types import new_file
from ..command_parser import CommandParser


def make_parser() -> CommandParser:
    """Describe the command line."""
    parser = CommandParser(
        __name__, __doc__, 'PUBLISHED_CONFIG --out NEW_CONFIG'
    )
    parser.option(
        'config',
        'the published config; the files that it inherits from must '
        'be where its _base_ says',
    )
    parser.option('--out FILE', 'the file to write', new_file(), required=True)
    return parser
