"""What the pages, configs and examples tell to type exists.

Each ``cbnet NAME`` is a command and has the options beside it; each
``make TARGET`` is a target; each file of tools/ is there.
"""

import functools
import re
from pathlib import Path

import pytest

from cbnet.commands.main import COMMANDS, main

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / 'README.md',
    ROOT / 'CONTRIBUTING.md',
    *sorted((ROOT / 'docs').glob('*.md')),
    *sorted((ROOT / 'configs').rglob('*.py')),
]
SOURCES = sorted((ROOT / 'cbnet' / 'commands').rglob('*.py'))
CODE = re.compile(r'```.*?```|`[^`]+`', re.S)
# `cbnet needs mmdet` and `cbnet does not start` are messages.
# A call may go on after a backslash; a comment ends it.
CALL = re.compile(
    r'(?:^[#\s]*|`|-m )cbnet (?!needs|does)([a-z][\w-]*)((?:[^`\n\\#]|\\\n)*)',
    re.M,
)


def code_of(page):
    """Give the code of a page; a Python file is code as a whole."""
    text = page.read_text()
    return text if page.suffix == '.py' else '\n'.join(CODE.findall(text))


def calls_of(page):
    """Give the name and the options of each call of ``cbnet``."""
    return [
        (name, re.findall(r'(?<!\S)\[?(--[a-z][\w-]*)', rest))
        for name, rest in CALL.findall(code_of(page))
    ]


@pytest.fixture
def options_of(capsys):
    """Give the options that the help of a command lists."""

    @functools.cache
    def read(name):
        with pytest.raises(SystemExit):
            main([name, '--help'])
        lines = re.findall(r'^  -.*', capsys.readouterr().out, re.M)
        return set(re.findall(r'--[a-z][\w-]*', '\n'.join(lines)))

    return read


def test_commands_and_options(options_of):
    calls = [
        (page, *call) for page in [*PAGES, *SOURCES] for call in calls_of(page)
    ]
    assert {name for _, name, _ in calls} >= set(COMMANDS)
    wrong = [
        f'{page.relative_to(ROOT)}: cbnet {name} {option}'
        for page, name, options in calls
        for option in ['', *options]
        if name not in COMMANDS or option and option not in options_of(name)
    ]
    assert not wrong


def test_targets_and_tools():
    code = '\n'.join(map(code_of, PAGES))
    targets = re.findall(r'^(\w+):', (ROOT / 'Makefile').read_text(), re.M)
    assert set(re.findall(r'(?:^|`)make (\w+)', code, re.M)) <= set(targets)
    tools = set(re.findall(r'(?:^|`|python )(tools/[\w/]+\.\w+)', code, re.M))
    assert tools and all((ROOT / tool).is_file() for tool in tools)
