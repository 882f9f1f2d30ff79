"""The console command: every command is found, called by its name, helped.

- the list of commands, the version, a name that is misspelt;
- each command's help names it as it was called, with examples that need no
  clone; it takes its arguments from a caller as well as from the shell;
- its exit status, and an error for the user that nothing else caught.
"""

import importlib
import re
import sys
from pathlib import Path

import pytest

from cbnet.commands import train
from cbnet.commands.main import COMMANDS, main
from cbnet.errors import UserValueError
from cbnet.version import __version__

ROOT = Path(__file__).parents[2]
FROM_SHELL = sorted(set(COMMANDS) - {'doctor'})


@pytest.fixture
def call(capsys):
    """Call the console command; give its exit status and its output."""

    def run(*arguments):
        try:
            status = main(arguments)
        except SystemExit as end:
            status = end.code
        output = capsys.readouterr()
        return status, output.out, output.err

    return run


def test_the_list_and_the_version(call):
    for arguments in ([], ['--help']):
        status, listed, _ = call(*arguments)
        assert not status
        for name, purpose in COMMANDS.items():
            assert re.search(
                rf'^  {name} +{re.escape(purpose)}$', listed, re.M
            )
    assert call('--version') == (0, f'cbnet {__version__}\n', '')


@pytest.mark.parametrize(
    ('name', 'hint'),
    [
        ('trian', "; did you mean 'train'?"),
        ('get_flops', "; did you mean 'get-flops'?"),
        ('xyz', ';'),
    ],
)
def test_no_such_command(name, hint, call):
    status, _, printed = call(name, '--help')
    assert status == 2
    assert printed.splitlines()[-1] == (
        f'cbnet: error: there is no command {name!r}{hint} '
        f'`cbnet --help` lists all commands'
    )


@pytest.mark.parametrize('name', FROM_SHELL)
def test_each_help(name, call, monkeypatch):
    status, text, _ = call(name, '--help')
    assert status == 0
    assert text.startswith(f'usage: cbnet {name}')
    assert f'\n  cbnet {name}' in text.partition('Examples:')[2]
    assert 'tools/' not in text
    script = f'{name.replace("-", "_")}.py'
    monkeypatch.setattr(sys, 'argv', [f'/a/clone/tools/{script}'])
    assert call(name, '--help')[1].startswith(f'usage: {script}')


def test_each_command_is_a_module_and_a_script():
    scripts = {p.stem: p.read_text() for p in (ROOT / 'tools').rglob('*.py')}
    for name in FROM_SHELL:
        stem = name.replace('-', '_')
        command = importlib.import_module(f'cbnet.commands.{stem}')
        parsers = importlib.import_module(f'cbnet.commands.parsers.{stem}')
        assert callable(parsers.make_parser) and callable(command.run)
        assert f"main(['{name}', *sys.argv[1:]])" in scripts[stem]


def test_the_doctor_gives_its_status(call, monkeypatch):
    doctor = importlib.import_module('cbnet.doctor.__main__')
    assert call('doctor', '--help')[1].startswith('usage: cbnet doctor')
    monkeypatch.setattr(doctor, 'main', lambda argv, prog: len(argv))
    assert call('doctor', '--json', 'x')[0] == 2


def test_an_error_for_the_user_is_one_line(call, monkeypatch):
    def broken(args):
        raise UserValueError('the text')

    monkeypatch.delenv('CBNET_TRACEBACK', raising=False)
    monkeypatch.setattr(train, 'run', broken)
    status, _, printed = call('train', 'a.py')
    assert status == 2
    assert printed.splitlines()[-1] == 'cbnet train: error: the text'


def test_an_error_of_python_keeps_its_traceback(call, monkeypatch):
    monkeypatch.setattr(train, 'run', lambda args: [][0])
    with pytest.raises(IndexError):
        call('train', 'a.py')
