"""Write docs/evidence.md from the figures of battles that have ended.

docs/evidence/runs.csv has a row for each training, docs/evidence/costs.csv
one for each entry. The tables and pictures of the page come from them; its
words are written by hand. --add takes the runs of a battle into both files;
runs of the same name are replaced.
"""

import sys
from pathlib import Path

from page_options import make_parser

EXAMPLES = """examples:
  python tools/misc/evidence.py            # write the page and its pictures
  python tools/misc/evidence.py --check    # only look whether it is stale
  python tools/misc/evidence.py --add battle --study small
"""


def main() -> None:
    """Add the runs of a battle; write the page, or check it."""
    parser = make_parser(__doc__, EXAMPLES)
    parser.add_argument(
        '--add', type=Path, metavar='DIR', help='the folder of a battle'
    )
    parser.add_argument(
        '--study',
        metavar='NAME',
        help='the study that the battle of --add belongs to',
    )
    args = parser.parse_args()
    if (args.add is None) != (args.study is None):
        parser.error('--add and --study belong together; give both')
    folder = args.root / 'docs'
    from evidence_page.figures import add_battle, read_evidence  # late: a help
    from evidence_page.page import find_stale, write_page  # is quick

    try:
        if args.add:
            number = add_battle(args.add, args.study, folder / 'evidence')
            print(f'runs of {args.add} that were taken: {number}')
        evidence = read_evidence(folder / 'evidence')
        if args.check:
            stale = find_stale(evidence, folder)
        else:
            write_page(evidence, folder)
            stale = False
    except (OSError, ValueError) as error:
        parser.error(str(error))
    if stale:
        sys.exit('docs/evidence.md is stale; run: tools/misc/evidence.py')
    print('docs/evidence.md is up to date')


if __name__ == '__main__':
    main()
