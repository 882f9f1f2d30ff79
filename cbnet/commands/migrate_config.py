"""Convert a published config, as ``cbnet migrate-config``."""

import sys
from argparse import Namespace

from ..messages import command
from ..migration import migrate_config


def run(args: Namespace) -> None:
    """Write the new config; report what it leaves out."""
    report, problem = migrate_config(args.config, args.out)
    print(f'{len(report)} remarks on settings left out or changed in meaning:')
    for line in report:
        print(f'  {line}')
    print(f'wrote {args.out}')
    if problem:
        sys.exit(f'its model does not build: {problem}')
    print(f'train: {command("cbnet", "train", args.out)}')
