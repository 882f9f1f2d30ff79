"""The parts that the command lines share."""

import os
from argparse import (
    ArgumentError,
    ArgumentParser,
    ArgumentTypeError,
    Namespace,
    RawDescriptionHelpFormatter,
)
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict, DictAction
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from ..config_files import find_config
from ..engine.launch import LAUNCHERS, prepare_launch
from ..errors import UserError, UserValueError
from ..messages import one_line
from .main import program


class CommandParser(ArgumentParser):
    """The parser of a command; the usage names it as it was called.

    Args:
        module: the name of the command's module.
        text: the docstring of that module. Its examples end the help.
        arguments: the arguments that the usage shows.
    """

    def __init__(self, module: str, text: str, arguments: str = '') -> None:
        name = module.rpartition('.')[2].replace('_', '-')
        description, title, examples = text.partition('Examples:\n')
        super().__init__(
            prog=program(name),
            usage=' '.join(['%(prog)s', *arguments.split(), '[options]']),
            description=description,
            epilog=title + examples,
            formatter_class=RawDescriptionHelpFormatter,
        )
        self._group = self

    def section(self, title: str, text: str) -> None:
        """Start a section of the help for the options that follow."""
        self._group = self.add_argument_group(title, text)

    def option(
        self,
        spelling: str,
        text: str,
        type: Callable[[str], Any] | None = None,
        **settings: Any,
    ) -> None:
        """Add an option or, without dashes, an argument.

        Args:
            spelling: the name and the value in the help. ``--num N`` takes a
                value, ``--keys KEY ...`` takes one or more. ``--amp`` is a
                switch, unless there are settings.
            text: the help; the default is added unless the text names one.
            type: a function that reads the value.
            settings: further settings of ``add_argument``.
        """
        name, _, value = spelling.partition(' ')
        if value:
            settings['metavar'] = value.removesuffix(' ...')
        elif name.startswith('--') and not settings:
            settings['action'] = 'store_true'
        if value.endswith(' ...'):
            settings['nargs'] = '+'
        if type is not None:
            settings['type'] = type
        default = settings.get('default')
        if default not in (None, []) and '(default' not in text:
            text += ' (default: %(default)s)'
        self._group.add_argument(name, help=text, **settings)


def config_parser(
    module: str, text: str, arguments: str = 'CONFIG'
) -> CommandParser:
    """Make the parser of a command that takes a config and overrides."""
    parser = CommandParser(module, text, arguments)
    parser.option(
        'config',
        'the config file, or one that an installed package carries: '
        'cbnet::cbnet/quickstart.py',
    )
    parser.option(
        '--cfg-options KEY=VALUE ...',
        'override settings of the config, such as '
        'train_dataloader.batch_size=2 model.assistance.weights="[0.25]" '
        '(quote brackets, no spaces inside)',
        action=Overrides,
    )
    return parser


def run_parser(
    module: str, text: str, arguments: str = 'CONFIG'
) -> CommandParser:
    """Make the parser of a command that runs mmengine's runner."""
    parser = config_parser(module, text, arguments)
    parser.option(
        '--work-dir DIR',
        'the folder for logs, results and checkpoints '
        '(default: work_dir of the config, or ./work_dirs/<its name>)',
    )
    parser.option(
        '--launcher',
        'what started the processes of a distributed run '
        '(default: none, a single process)',
        choices=['none', *LAUNCHERS],
        default='none',
    )
    parser.add_argument(
        '--local-rank',
        '--local_rank',
        type=int,
        metavar='N',
        help='for launchers that pass the local rank as an argument',
    )
    return parser


class Overrides(DictAction):
    """mmengine's reader of KEY=VALUE pairs, with an error for the user."""

    def __call__(self, *arguments: Any) -> None:
        """Read the pairs."""
        try:
            super().__call__(*arguments)
        except (AssertionError, ValueError):
            raise ArgumentError(
                self,
                'takes KEY=VALUE pairs; brackets and parentheses in a value '
                'must be closed',
            ) from None


def at_least(least: int) -> Callable[[str], int]:
    """Make a reader of whole numbers that are not below ``least``."""

    def read(text: str) -> int:
        if not text.removeprefix('-').isdecimal() or int(text) < least:
            raise ArgumentTypeError(f'{text}, expected {least} or more')
        return int(text)

    return read


def score(text: str) -> float:
    """Read a number from 0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise ArgumentTypeError(f'{value} is not in [0, 1]')
    return value


def shared_stages(text: str) -> int | str | None:
    """Read a number of stages, ``none`` or ``published``."""
    text = text.lower()
    if text in ('none', 'published'):
        return None if text == 'none' else text
    if not text.isdecimal():
        raise ArgumentTypeError(f'{text!r} is neither a number nor none')
    return int(text)


def local_file(text: str) -> Path:
    """Read the path of a file that exists."""
    if not Path(text).is_file():
        raise ArgumentTypeError(f'no file {text}')
    return Path(text)


def file_or_address(text: str) -> str:
    """Read the path of a file that exists, or an address."""
    return text if '://' in text else str(local_file(text))


def ends_in(*suffixes: str) -> Callable[[str], Path]:
    """Make a reader of paths that end in one of the suffixes."""

    def read(text: str) -> Path:
        if not text.endswith(suffixes):
            expected = ' or '.join(suffixes)
            raise ArgumentTypeError(f'{text} must end in {expected}')
        return Path(text)

    return read


def load_config(args: Namespace) -> Config:
    """Read the config, apply the overrides, set work_dir and launcher.

    Raises:
        UserError: the config, an override or the launcher is wrong.
    """
    path = find_config(args.config)
    try:
        cfg = Config.fromfile(path)
    except UserError:
        raise
    except (AssertionError, OSError, SyntaxError, ValueError) as error:
        raise UserValueError(f'{args.config}: {one_line(error)}') from error
    try:
        cfg.merge_from_dict(args.cfg_options or {})
    except (KeyError, TypeError) as error:
        raise UserValueError(f'--cfg-options: {one_line(error)}') from error
    given = vars(args)
    cfg.work_dir = (
        given.get('work_dir')
        or cfg.get('work_dir')
        or str(Path('work_dirs', path.stem))
    )
    if given.get('local_rank') is not None:
        os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    prepare_launch(cfg, given.get('launcher', 'none'))
    return cfg


def require_section(cfg: Config, name: str, option: str) -> ConfigDict:
    """Give the section of the config that an option needs."""
    section = cfg.get(name)
    if not section:
        raise UserValueError(
            f'{option} needs {name} in the config, which has none'
        )
    return section


def refuse_output(
    name: str, out: Path, sources: Iterable[Path], it: str
) -> None:
    """Refuse to write over a folder or a source, which is called ``it``."""
    if out.is_dir() or out.resolve() in [s.resolve() for s in sources]:
        raise UserValueError(f'{name}: {out} is {it}, or a folder')


def build_runner(cfg: Config) -> Runner:
    """Build the runner that the config asks for, mmengine's by default."""
    if 'runner_type' in cfg:
        return RUNNERS.build(cfg)
    return Runner.from_cfg(cfg)
