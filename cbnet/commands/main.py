"""The console command: ``cbnet NAME ...`` runs one of the commands."""

import importlib
import sys
from argparse import (
    REMAINDER,
    SUPPRESS,
    ArgumentParser,
    RawDescriptionHelpFormatter,
)
from collections.abc import Sequence
from pathlib import Path

from ..messages import did_you_mean
from ..threads import settle_threads
from ..version import __version__
from .user_errors import plain_errors

COMMANDS = {
    'train': 'train the detector of a config',
    'test': 'evaluate a checkpoint',
    'infer': 'detect objects in images and videos',
    'quickstart': 'generate a data set, train on it, show what was learned',
    'check-data': 'check that a config can train on data',
    'compose': 'write the composite twin of a config',
    'upgrade': 'add a frozen assistant to a trained detector',
    'doctor': 'examine the installation',
    'get-flops': 'count parameters and multiply-accumulates',
    'benchmark': 'compare the speed of detectors, part by part',
    'eval-coco': "compute COCO's figures for a results file",
    'plot-log': 'draw the curves of training runs',
    'browse-data': 'show the images that a detector is fed',
    'battle': 'find out which backbone to take',
    'study-upgrades': 'compare ways to go on with a trained detector',
    'show-connections': 'show what each connection adds',
    'average-checkpoints': 'average the weights of checkpoints',
    'replicate-members': "put a detector's weights into every member",
    'publish': 'write a trained checkpoint for others',
    'published-to-cbnet': 'convert a published checkpoint',
    'migrate-config': 'convert a published config',
}

# Those that run a model, and say how many threads do so.
COMPUTING = (
    'train', 'test', 'infer', 'quickstart', 'upgrade', 'battle',
    'study-upgrades', 'show-connections', 'benchmark',
)  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int | None:
    """Run the command that the first argument names.

    Args:
        argv: the arguments, by default those of the command line.

    Returns:
        The exit status, for ``sys.exit``.
    """
    parser = make_parser()
    args = parser.parse_args(argv)
    name = args.command
    if name is None:
        parser.print_help()
        return 0
    if name not in COMMANDS:
        hint = did_you_mean(name, COMMANDS) or ';'
        parser.error(
            f'there is no command {name!r}{hint} '
            f'`cbnet --help` lists all commands'
        )
    if name == 'doctor':  # it must also run where nothing else can
        doctor = importlib.import_module('cbnet.doctor.__main__')
        return doctor.main(args.arguments, 'cbnet doctor')
    with plain_errors(program(name)):
        run(name, args.arguments)


def run(name: str, arguments: Sequence[str]) -> None:
    """Run one command.

    torch, mmdet and what is registered there are imported after the
    arguments are read: a help or a wrong argument should not take seconds,
    and threads cannot be settled any more once torch is there.
    """
    stem = name.replace('-', '_')
    parsers = importlib.import_module(f'cbnet.commands.parsers.{stem}')
    args = parsers.make_parser().parse_args(arguments)
    args.threads = settle_threads(getattr(args, 'launcher', 'none'))
    if name in COMPUTING and args.threads:
        print(args.threads, file=sys.stderr, flush=True)
    from .. import start  # late: the doctor examines what does not start

    start()
    importlib.import_module(f'cbnet.commands.{stem}').run(args)


def make_parser() -> ArgumentParser:
    """Make the parser of ``cbnet``, which hands on all other arguments."""
    width = max(map(len, COMMANDS))
    lines = [f'  {name:{width}}  {what}' for name, what in COMMANDS.items()]
    parser = ArgumentParser(
        prog='cbnet',
        usage='%(prog)s COMMAND [arguments]',
        description='\n'.join(['commands:', *lines]),
        epilog='`cbnet COMMAND --help` describes one command.',
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        '--version', action='version', version=f'cbnet {__version__}'
    )
    parser.add_argument('command', nargs='?', help=SUPPRESS)
    parser.add_argument('arguments', nargs=REMAINDER, help=SUPPRESS)
    return parser


def program(name: str) -> str:
    """Say how a command was called: ``cbnet train`` or ``train.py``."""
    script = Path(sys.argv[0]).name
    from_tools = script == f'{name.replace("-", "_")}.py'
    return script if from_tools else f'cbnet {name}'
