"""Write the model zoo's tables from the metafiles and configs.

The figures come from configs/*/metafile.yml and the recipes from the configs.
model-index.yml and the marked blocks of README.md and docs/model_zoo.md are
written. Run this after every change of a metafile or config.
"""

import sys

from page_options import make_parser

EXAMPLES = """examples:
  python tools/misc/model_zoo.py            # write the stale pages
  python tools/misc/model_zoo.py --check    # only look for stale pages
"""


def main() -> None:
    """Write the tables, or check them."""
    parser = make_parser(__doc__, EXAMPLES)
    args = parser.parse_args()
    from zoo.pages import find_stale, write_pages  # late: a help is quick

    try:
        pages = (find_stale if args.check else write_pages)(args.root)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    for page in pages:
        print(f'{page} is stale' if args.check else f'wrote {page}')
    if not pages:
        print('the model zoo is up to date')
    elif args.check:
        sys.exit('run: python tools/misc/model_zoo.py')


if __name__ == '__main__':
    main()
