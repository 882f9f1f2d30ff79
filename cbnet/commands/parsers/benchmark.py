r"""Compare the speed of detectors in one run: latency, memory, every part.

The candidates take turns, so that whatever else the machine does slows all of
them. Times are medians; ratios compare neighbouring passes, and have
quartiles. Weights are random. Candidates whose weights have the same names
and shapes get the same weights, and their outputs are compared, too. Images
are noise. With random weights, few scores pass the threshold; the last example
keeps as many detections as the config allows.

Examples:
  cbnet benchmark configs/cbnet/dual_r50.py \
      --against mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py
  cbnet benchmark configs/cbnet/dual_swin_t.py --only backbone \
      --variant "compiled: compile=True" --device cuda --dtype bf16
  cbnet benchmark configs/cbnet/dual_r50.py --train --batch 2 --json cost.json
  cbnet benchmark configs/cbnet/dual_r50.py --sweep members 1 2 3 \
      --shape 320 480 --plot members.png
  cbnet benchmark configs/cbnet/dual_r50_mask.py \
      --cfg-options model.test_cfg.rcnn.score_thr=0 --markdown parts.md

docs/speed.md explains the figures.
"""

from ..argument_types import at_least, new_file
from ..choices import AXES, CLOCKS, DTYPES, ONLY
from ..command_parser import CommandParser
from ..options import config_parser


def make_parser() -> CommandParser:
    """Describe the command line."""
    parser = config_parser(__name__, __doc__, 'CONFIG [CONFIG ...]')
    parser.option(
        'more', 'further configs to compare', nargs='*', metavar='CONFIG'
    )
    parser.option(
        '--against CONFIG',
        'the config that all others are compared with, such as the same '
        'detector with a single backbone (default: the first candidate)',
    )
    parser.option(
        '--variant TEXT',
        'a further candidate for each CONFIG, with overrides: '
        '"NAME: KEY=VALUE ..."; may be given several times; compile=True '
        'compiles the backbone and the neck with torch.compile, '
        'channels_last=True stores maps in that layout, and fast=True also '
        'folds norms, as cbnet test --fast does',
        action='append',
        default=[],
    )
    parser.option(
        '--sweep',
        f'repeat everything with several values of one of {", ".join(AXES)}: '
        'shape 320x480 480x720, batch 1 2 4, or members 1 2 3',
        nargs='+',
        metavar=('AXIS', 'VALUE'),
    )
    add_setting_options(parser)
    parser.section('results', 'The tables are printed in any case.')
    for name, what, endings in (
        ('json', 'all figures, with every single time', ('.json',)),
        ('markdown', 'the tables', ('.md',)),
        ('plot', 'a figure', ('.png', '.svg', '.pdf')),
    ):
        parser.option(
            f'--{name} FILE', f'also write {what}', new_file(*endings)
        )
    return parser


def add_setting_options(parser: CommandParser) -> None:
    """Add how all candidates are run."""
    parser.section('how all candidates are run', '')
    parser.option(
        '--only',
        'what is run: the whole detector, or its backbone',
        choices=ONLY,
        default='detector',
    )
    parser.option('--train', 'run training steps instead of inference')
    parser.option(
        '--shape',
        'the height and width of the images, padding included; one number '
        'means a square (default: 320 480)',
        at_least(32, 8192),
        nargs='+',
        default=[320, 480],
        metavar=('H', 'W'),
    )
    parser.option(
        '--batch N', 'the number of images in a batch', at_least(1), default=1
    )
    parser.option(
        '--device NAME', 'cpu, cuda:0, ... (default: a GPU if there is one)'
    )
    parser.option(
        '--dtype',
        'bf16 and fp16 are mixed precision',
        choices=DTYPES,
        default='fp32',
    )
    parser.option(
        '--compile', 'compile the backbone and neck of all candidates'
    )
    parser.option(
        '--rounds N',
        'the number of passes that are timed',
        at_least(1),
        default=10,
    )
    parser.option(
        '--part-passes N',
        'the number of passes that are timed part by part; 0: none',
        at_least(0),
        default=3,
    )
    parser.option(
        '--clock',
        'wall, or cpu for the seconds of the CPU that the passes used, which '
        'other busy programs change less',
        choices=CLOCKS,
        default='wall',
    )
