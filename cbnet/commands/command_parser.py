"""The parser of the commands, which names the default of every option."""

import os
from argparse import (
    Action,
    ArgumentError,
    ArgumentParser,
    Namespace,
    RawDescriptionHelpFormatter,
)
from collections.abc import Callable
from pathlib import Path
from textwrap import fill
from typing import Any

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
        text = fill(' '.join(text.split()), 76)
        self._group = self.add_argument_group(title, text)

    def exclusive(self) -> None:
        """Let the options that follow, up to a section, exclude each other."""
        self._group = self._group.add_mutually_exclusive_group()

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
            values = default if isinstance(default, list) else [default]
            text += f' (default: {" ".join(map(str, values))})'
        self._group.add_argument(name, help=text, **settings)

    def parse_args(self, *args: Any, **kwargs: Any) -> Namespace:
        """Read the arguments; refuse to write over a file that is read."""
        found = super().parse_args(*args, **kwargs)
        read: dict[str, str] = {}
        for action in self._actions:
            if not getattr(action.type, 'writes', False):
                for path in _files_of(found, action):
                    read[os.path.realpath(path)] = _name_of(action)
        for action in self._actions:
            if getattr(action.type, 'writes', False):
                for path in _files_of(found, action):
                    if other := read.get(os.path.realpath(path)):
                        self.error(
                            f'{_name_of(action)}: {path} is {other}; name '
                            f'another file'
                        )
        return found


def _files_of(found: Namespace, action: Action) -> list[str | Path]:
    """List what an argument names, if it is a file that exists."""
    value = getattr(found, action.dest, None)
    values = value if isinstance(value, list) else [value]
    # Path.resolve() and is_file() fail at some links and at long names.
    return [
        one
        for one in values
        if isinstance(one, str | Path) and os.path.isfile(one)
    ]


def _name_of(action: Action) -> str:
    """Name an argument as the usage does."""
    name = action.metavar or action.dest.upper()
    if action.option_strings:
        name = action.option_strings[0]
    return f'one of {name}' if action.nargs == '+' else name


class Overrides(Action):
    """Collect KEY=VALUE pairs, which ``read_overrides`` reads later."""

    def __call__(
        self,
        parser: ArgumentParser,
        namespace: Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Keep the texts, also those of an earlier such option."""
        if not all('=' in text for text in values):
            raise ArgumentError(self, 'takes KEY=VALUE pairs')
        before = getattr(namespace, self.dest) or []
        setattr(namespace, self.dest, [*before, *values])
