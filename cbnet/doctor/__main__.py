"""Examine the installation; say what is wrong and how to repair it.

The exit status is 0 if all is well (there may be warnings), and 1 if
something is wrong. Where `import cbnet` fails, run:

  CBNET_START=no python -m cbnet.doctor
"""

import json
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Sequence
from pathlib import Path


def main(
    argv: Sequence[str] | None = None, prog: str = 'python -m cbnet.doctor'
) -> int:
    """Examine the installation, print the report, return the exit status.

    Args:
        argv: the arguments; None: those of this process.
        prog: what the user called.
    """
    parser = ArgumentParser(
        prog=prog,
        description=__doc__,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        '--json', metavar='FILE', help='also write the report as JSON'
    )
    args = parser.parse_args(argv)
    from .report import examine, print_report  # late: a help is quick

    if sys.stderr.isatty():
        sys.stderr.write('loading the stack takes some seconds ...\n')
    report = examine()
    print_report(report)
    if args.json:
        try:
            Path(args.json).write_text(json.dumps(report, indent=2))
        except OSError as error:
            parser.error(f'--json: {error}')
        sys.stdout.write(f'wrote {args.json}\n')
    return 0 if report['good'] else 1


if __name__ == '__main__':
    sys.exit(main())
