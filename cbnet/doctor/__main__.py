"""Examine the installation; say what is wrong and how to repair it."""

import json
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Sequence

from .report import examine, print_report

EPILOG = """exit status:
  0 if all is well (there may be warnings), 1 if something is wrong

examples:
  python -m cbnet.doctor
  python -m cbnet.doctor --json doctor.json
  CBNET_START=no python -m cbnet.doctor    # if `import cbnet` fails
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Examine the installation and print the report.

    Returns:
        The exit status.
    """
    parser = ArgumentParser(
        prog='python -m cbnet.doctor',
        description=__doc__,
        epilog=EPILOG,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        '--json', metavar='FILE', help='also write the report as JSON'
    )
    args = parser.parse_args(argv)
    if sys.stderr.isatty():
        sys.stderr.write('loading the stack takes some seconds ...\n')
    report = examine()
    print_report(report)
    if args.json:
        try:
            with open(args.json, 'w', encoding='utf-8') as file:
                json.dump(report, file, indent=2)
        except OSError as error:
            parser.error(f'--json: {error}')
        sys.stdout.write(f'wrote {args.json}\n')
    return 0 if report['good'] else 1


if __name__ == '__main__':
    sys.exit(main())
