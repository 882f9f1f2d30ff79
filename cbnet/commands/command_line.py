"""What ``tools/train.py`` and ``tools/test.py`` read in the same way.

Everything here ends a user's mistake through ``ArgumentParser.error``: one
line, no traceback.
"""

import os
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmengine.config import Config, ConfigDict, DictAction
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from ..config_files import find_config
from ..engine.launch import LAUNCHERS, prepare_launch
from ..errors import (
    BrokenCheckpointError,
    UnsafeCheckpointError,
)


def make_parser(
    description: str, arguments: str, examples: str
) -> ArgumentParser:
    """Make a parser that takes a config and overrides of it.

    Args:
        description: what the tool does.
        arguments: its positional arguments, for the line of usage.
        examples: shown below the arguments.
    """
    parser = ArgumentParser(
        usage=f'%(prog)s {arguments} [options]',
        description=description,
        epilog=examples,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'config',
        help='config file, or one that an installed package carries: '
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


def make_run_parser(
    description: str, arguments: str, examples: str
) -> ArgumentParser:
    """Make a parser of a tool that runs mmengine's runner; see above."""
    parser = make_parser(description, arguments, examples)
    parser.add_argument(
        '--work-dir',
        metavar='DIR',
        help='where logs, results and checkpoints go '
        '(default: the work_dir of the config, or ./work_dirs/<its name>)',
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


def parse(parser: ArgumentParser) -> Namespace:
    """Parse the command line; the parser refuses malformed overrides."""
    try:
        args = parser.parse_args()
    except (AssertionError, ValueError):
        parser.error(
            '--cfg-options takes KEY=VALUE pairs; brackets and parentheses '
            'in a value must be closed'
        )
    rank = getattr(args, 'local_rank', None)
    if rank is not None:
        os.environ.setdefault('LOCAL_RANK', str(rank))
    return args


def load_config(parser: ArgumentParser, args: Namespace) -> Config:
    """Read the config, apply the overrides, settle work_dir and launcher."""
    try:
        path = find_config(args.config)
        cfg = Config.fromfile(path)
    except ValueError as error:
        parser.error(str(error))
    except (AssertionError, OSError, SyntaxError) as error:
        parser.error(f'{args.config}: {error}')
    try:
        cfg.merge_from_dict(args.cfg_options or {})
    except (KeyError, TypeError) as error:
        parser.error(f'--cfg-options: {error}')
    cfg.work_dir = (
        getattr(args, 'work_dir', None)
        or cfg.get('work_dir')
        or str(Path('work_dirs', path.stem))
    )
    try:
        prepare_launch(cfg, getattr(args, 'launcher', 'none'))
    except ValueError as error:
        parser.error(str(error))
    return cfg


@contextmanager
def errors_of_files(parser: ArgumentParser) -> Iterator[None]:
    """End what cannot be read, used or written in the parser's one line."""
    try:
        yield
    except (
        OSError,
        ValueError,
        BrokenCheckpointError,
        UnsafeCheckpointError,
    ) as error:
        parser.error(str(error))


def refuse_output(
    parser: ArgumentParser, name: str, out: Path, sources: list[Path], it: str
) -> None:
    """Refuse to write over what is read, or to where a folder is.

    Args:
        parser: of the tool.
        name: of the option or argument that gives ``out``.
        out: the file to write.
        sources: the files to read.
        it: what ``out`` then is, such as ``'IN.pth'``.
    """
    if out.is_dir() or out.resolve() in [s.resolve() for s in sources]:
        parser.error(f'{name}: {out} is {it}, or a folder')


def require_file(parser: ArgumentParser, option: str, path: str) -> None:
    """Refuse a local file that is not there; addresses pass."""
    if '://' not in path and not Path(path).is_file():
        parser.error(f'{option}: no file {path}')


def require_section(
    parser: ArgumentParser, cfg: Config, name: str, option: str
) -> ConfigDict:
    """Give a section of the config that an option needs."""
    section = cfg.get(name)
    if not section:
        parser.error(f'{option} needs {name} in the config, which has none')
    return section


def build_runner(cfg: Config) -> Runner:
    """Build the runner that the config asks for, mmengine's by default."""
    if 'runner_type' in cfg:
        return RUNNERS.build(cfg)
    return Runner.from_cfg(cfg)
