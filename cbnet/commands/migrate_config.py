r"""Turn a published CBNetV2 config (mmdet 2.x) into one for this package.

Examples:
  cbnet migrate-config \
      CBNetV2/configs/cbnet/faster_rcnn_cbv2d1_r50_fpn_1x_coco.py \
      --out configs/dual.py
"""

import sys
from argparse import Namespace

from ..migration import migrate_config
from .command_parser import CommandParser


def make_parser() -> CommandParser:
    """Describe the command line."""
    parser = CommandParser(
        __name__, __doc__, 'PUBLISHED_CONFIG --out NEW_CONFIG'
    )
    parser.option(
        'config',
        'the published config; the files that it inherits from must '
        'lie where its _base_ says',
    )
    parser.option('--out FILE', 'the file to write', required=True)
    return parser


def run(args: Namespace) -> None:
    """Write the new config; report what it leaves out."""
    report, problem = migrate_config(args.config, args.out)
    print(f'{len(report)} remarks on settings left out or changed in meaning:')
    for line in report:
        print(f'  {line}')
    print(f'wrote {args.out}')
    if problem:
        sys.exit(f'its model does not build: {problem}')
    print(f'train: cbnet train {args.out}')
