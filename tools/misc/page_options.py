"""The options of the tools that write pages of the documentation."""

from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def make_parser(description: str | None, examples: str) -> ArgumentParser:
    """Make a parser with --check and --root."""
    parser = ArgumentParser(
        usage='%(prog)s [options]',
        description=description,
        epilog=examples,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        '--check',
        action='store_true',
        help='write nothing; name what is stale and exit with status 1 if '
        'anything is',
    )
    parser.add_argument(
        '--root',
        type=Path,
        default=ROOT,
        metavar='DIR',
        help='the repository (default: the one that contains this tool)',
    )
    return parser
