"""Write the model zoo's tables from the metafiles and configs.

Reads the figures in configs/*/metafile.yml and the recipes in the configs,
and writes model-index.yml and the marked blocks of README.md and
docs/model_zoo.md.  Run it after a change of a metafile or a config.
"""

import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path

from cbnet.analysis.zoo.pages import find_stale, write_pages

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = """examples:
  python tools/misc/model_zoo.py            # write what is stale
  python tools/misc/model_zoo.py --check    # exit status 1 if any is
"""


def make_parser() -> ArgumentParser:
    """Make the parser."""
    parser = ArgumentParser(
        usage='%(prog)s [options]',
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        '--check',
        action='store_true',
        help='write nothing; name the files that are stale, and end with '
        'exit status 1 if there are any',
    )
    parser.add_argument(
        '--root',
        type=Path,
        default=ROOT,
        metavar='DIR',
        help='the repository (default: the one that this tool is in)',
    )
    return parser


def main() -> None:
    """Write the tables, or check them."""
    parser = make_parser()
    args = parser.parse_args()
    try:
        pages = (find_stale if args.check else write_pages)(args.root)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    for page in pages:
        print(f'{page} is stale' if args.check else f'wrote {page}')
    if not pages:
        print('the model zoo is as its metafiles and configs say')
    elif args.check:
        sys.exit('run: python tools/misc/model_zoo.py')


if __name__ == '__main__':
    main()
