"""Turn a published CBNetV2 config (mmdet 2.x) into one for this package."""

from argparse import ArgumentParser, RawDescriptionHelpFormatter

from ..migration import migrate_config

EXAMPLES = """examples:
  python tools/misc/migrate_config.py \\
      CBNetV2/configs/cbnet/faster_rcnn_cbv2d1_r50_fpn_1x_coco.py \\
      --out configs/dual.py
"""


def main() -> None:
    """Read the command line and write the new config."""
    parser = ArgumentParser(
        usage='%(prog)s PUBLISHED_CONFIG --out NEW_CONFIG',
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'config',
        help='the published config; the files that it inherits from must '
        'lie where its _base_ says',
    )
    parser.add_argument(
        '--out', required=True, metavar='FILE', help='the file to write'
    )
    args = parser.parse_args()
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
    print(f'train: python tools/train.py {args.out}')
