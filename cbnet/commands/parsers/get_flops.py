r"""Count the parameters and multiply-accumulates of a detector, part by part.

What the field calls FLOPs are multiply-accumulates (MACs). The count needs
neither data nor weights: the model has shapes but no numbers.

Examples:
  cbnet get-flops configs/cbnet/dual_swin_l.py
  cbnet get-flops configs/cbnet/dual_r50.py \
      configs/cbnet/single_r50.py --out work_dirs/cost.json
  cbnet get-flops configs/cbnet/dual_r50.py \
      --shape 640 --cfg-options model.backbone.style=fcc
  cbnet get-flops mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py \
      --assistant dinov2-s clip-b --scale 0.5

docs/cost.md explains what is counted, and by which rule.
"""

from ..argument_types import new_file
from ..choices import PRESETS
from ..command_parser import CommandParser
from ..options import config_parser


def make_parser() -> CommandParser:
    """Describe the command line."""
    parser = config_parser(__name__, __doc__, 'CONFIG [CONFIG ...]')
    parser.option(
        'more',
        'further configs; the table then has one row for each config '
        'instead of one for each part',
        nargs='*',
        metavar='CONFIG',
    )
    parser.option(
        '--assistant NAME|CONFIG ...',
        'also count each config as `cbnet upgrade` would add these frozen '
        f'assistants to it, one at a time: a preset ({", ".join(PRESETS)}), '
        "timm's name of a model, or a config file",
        default=[],
    )
    parser.option(
        '--scale FACTOR',
        'resize the images for the assistants; 0.5 takes a quarter of their '
        'work (default: the images as they are)',
        float,
    )
    parser.option(
        '--shape',
        'the height and width of the image as the model sees it, with '
        'padding; one number means a square (default: 800 1280, as for '
        'the published figures)',
        int,
        nargs='+',
        default=[800, 1280],
        metavar=('H', 'W'),
    )
    parser.option(
        '--out FILE.json',
        'also write all exact numbers: config -> parts, total, ...',
        new_file('.json'),
    )
    return parser
