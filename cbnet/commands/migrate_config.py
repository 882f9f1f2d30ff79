"""Turn a published CBNetV2 config (mmdet 2.x) into one for this package."""

from collections.abc import Sequence

from ..migration import migrate_config
from .command_line import command_parser

EXAMPLES = """examples:
  cbnet migrate-config \\
      CBNetV2/configs/cbnet/faster_rcnn_cbv2d1_r50_fpn_1x_coco.py \\
      --out configs/dual.py
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line and write the new config."""
    parser = command_parser(
        'migrate-config',
        'PUBLISHED_CONFIG --out NEW_CONFIG',
        __doc__,
        EXAMPLES,
    )
    parser.add_argument(
        'config',
        help='the published config; the files that it inherits from must '
        'lie where its _base_ says',
    )
    parser.add_argument(
        '--out', required=True, metavar='FILE', help='the file to write'
    )
    args = parser.parse_args(argv)
    try:
        report, problem = migrate_config(args.config, args.out)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    print(f'{len(report)} remarks on settings left out or changed in meaning:')
    for line in report:
        print(f'  {line}')
    print(f'wrote {args.out}')
    if problem:
        parser.exit(1, f'its model does not build: {problem}\n')
    print(f'train: cbnet train {args.out}')
