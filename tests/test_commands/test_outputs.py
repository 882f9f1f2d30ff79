"""What a command is to write is refused before the command starts.

- a path below a file, and a folder in the place of a file;
- this holds for every option that names something to write.
"""

import importlib
import re
from argparse import ArgumentTypeError

import pytest

from cbnet.commands.main import COMMANDS

# Where the help of an argument says that something is written.
_WRITTEN = re.compile(r'\bwrit|\bfolder for|where .* go\b|\bfigure\b')


def find_outputs():
    """List the arguments of all commands that name what is written."""
    found = []
    for command in COMMANDS.keys() - {'doctor'}:
        stem = command.replace('-', '_')
        module = importlib.import_module(f'cbnet.commands.parsers.{stem}')
        for action in module.make_parser()._actions:
            named = re.search(r'FILE|DIR|\.pth', str(action.metavar))
            if named and _WRITTEN.search(str(action.help)):
                name = f'{command} {action.metavar}'
                found.append(pytest.param(action, id=name))
    return sorted(found, key=lambda one: one.id)


OUTPUTS = find_outputs()
ENDINGS = '', '.json', '.png', '.pkl', '.md'


def refusals(action, path):
    """Give the error, or None, for a path with each accepted ending."""
    found = []
    for ending in ENDINGS:
        try:
            action.type(f'{path}{ending}')
        except ArgumentTypeError as error:
            if 'must end in' not in str(error):
                found.append(str(error))
        else:
            found.append(None)
    assert found
    return found


def test_all_outputs_are_found():
    commands = {one.id.partition(' ')[0] for one in OUTPUTS}
    assert COMMANDS.keys() - commands == {'doctor'}


@pytest.mark.parametrize('action', OUTPUTS)
def test_a_path_below_a_file(action, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'text').touch()
    for path in ('text/new', 'text/deeper/new'):
        for message in refusals(action, path):
            assert message.endswith('text is a file; name a folder')
    assert set(refusals(action, 'new/deeper')) == {None}


@pytest.mark.parametrize('action', OUTPUTS)
def test_a_folder_instead_of_a_file(action, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for ending in ENDINGS:
        (tmp_path / f'there{ending}').mkdir()
    for message in refusals(action, 'there'):
        if 'DIR' in action.metavar:
            assert message is None
        else:
            expected = r'there\S* is a folder; name a file'
            assert re.fullmatch(expected, message)
