"""The parts that the command lines share.

A mistake in the arguments, or in the config that they name, ends in
``ArgumentParser.error``: the usage and one line.
"""

import os
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mmengine.config import Config, ConfigDict, DictAction
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from ..config_files import find_config
from ..engine.launch import LAUNCHERS, prepare_launch
from ..errors import UserError
from ..messages import one_line
from .main import program


def command_parser(
    name: str, arguments: str, description: str, examples: str
) -> ArgumentParser:
    """Make a parser whose usage names the command as it was called."""
    return ArgumentParser(
        prog=program(name),
        usage=f'%(prog)s {arguments} [options]',
        description=description,
        epilog=examples,
        formatter_class=RawDescriptionHelpFormatter,
    )


def config_parser(
    name: str, arguments: str, description: str, examples: str
) -> ArgumentParser:
    """Make the parser of a command that takes a config and overrides."""
    parser = command_parser(name, arguments, description, examples)
    parser.add_argument(
        'config',
        help='the config file, or one that an installed package carries: '
        'cbnet::cbnet/quickstart.py',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='override settings of the config, such as '
        'train_dataloader.batch_size=2 model.assistance.weights="[0.25]" '
        '(quote brackets, no spaces inside)',
    )
    return parser


def run_parser(
    name: str, arguments: str, description: str, examples: str
) -> ArgumentParser:
    """Make the parser of a command that runs mmengine's runner."""
    parser = config_parser(name, arguments, description, examples)
    parser.add_argument(
        '--work-dir',
        metavar='DIR',
        help='the folder for logs, results and checkpoints '
        '(default: work_dir of the config, or ./work_dirs/<its name>)',
    )
    parser.add_argument(
        '--launcher',
        choices=['none', *LAUNCHERS],
        default='none',
        help='what started the processes of a distributed run '
        '(default: none, a single process)',
    )
    parser.add_argument(
        '--local-rank',
        '--local_rank',
        type=int,
        metavar='N',
        help='for launchers that pass the local rank as an argument',
    )
    return parser


def parse(
    parser: ArgumentParser, argv: Sequence[str] | None = None
) -> Namespace:
    """Parse the command line; refuse malformed overrides."""
    try:
        args = parser.parse_args(argv)
    except (AssertionError, ValueError):  # mmengine's, for what it cannot read
        parser.error(
            '--cfg-options takes KEY=VALUE pairs; brackets and parentheses '
            'in a value must be closed'
        )
    rank = getattr(args, 'local_rank', None)
    if rank is not None:
        os.environ.setdefault('LOCAL_RANK', str(rank))
    return args


def load_config(parser: ArgumentParser, args: Namespace) -> Config:
    """Read the config, apply the overrides, set work_dir and launcher."""
    try:
        path = find_config(args.config)
        cfg = Config.fromfile(path)
    except (AssertionError, OSError, SyntaxError, ValueError) as error:
        named = '' if isinstance(error, UserError) else f'{args.config}: '
        parser.error(named + one_line(error))
    try:
        cfg.merge_from_dict(args.cfg_options or {})
    except (KeyError, TypeError) as error:
        parser.error(f'--cfg-options: {one_line(error)}')
    cfg.work_dir = (
        getattr(args, 'work_dir', None)
        or cfg.get('work_dir')
        or str(Path('work_dirs', path.stem))
    )
    with errors_of_files(parser):
        prepare_launch(cfg, getattr(args, 'launcher', 'none'))
    return cfg


@contextmanager
def errors_of_files(parser: ArgumentParser) -> Iterator[None]:
    """End with the parser's one line if a file cannot be read or written."""
    try:
        yield
    except (OSError, UserError) as error:
        parser.error(one_line(error))


def refuse_output(
    parser: ArgumentParser, name: str, out: Path, sources: list[Path], it: str
) -> None:
    """Refuse to write over a folder or a source, which is called ``it``."""
    if out.is_dir() or out.resolve() in [s.resolve() for s in sources]:
        parser.error(f'{name}: {out} is {it}, or a folder')


def require_file(parser: ArgumentParser, option: str, path: str) -> None:
    """Refuse a local file that does not exist; addresses pass."""
    if '://' not in path and not Path(path).is_file():
        parser.error(f'{option}: no file {path}')


def require_section(
    parser: ArgumentParser, cfg: Config, name: str, option: str
) -> ConfigDict:
    """Give the section of the config that an option needs."""
    section = cfg.get(name)
    if not section:
        parser.error(f'{option} needs {name} in the config, which has none')
    return section


def build_runner(cfg: Config) -> Runner:
    """Build the runner that the config asks for, mmengine's by default."""
    if 'runner_type' in cfg:
        return RUNNERS.build(cfg)
    return Runner.from_cfg(cfg)
