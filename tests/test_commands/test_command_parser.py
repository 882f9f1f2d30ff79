"""The parser of the commands and the readers of their arguments.

- the spelling of an option tells how many values it takes;
- the help names the defaults, and the usage has no gaps;
- a reader refuses what it does not accept, in one line, such as a folder that
  cannot be written;
- no command writes over a file that it reads, however that is spelled.
"""

import os
from argparse import ArgumentTypeError

import pytest

from cbnet.commands.argument_types import (
    at_least,
    fraction,
    new_file,
    new_folder,
)
from cbnet.commands.command_parser import CommandParser
from cbnet.commands.parsers import eval_coco

TEXT = """Do something.

Examples:
  cbnet do-it a.txt
"""


@pytest.fixture
def parser():
    parser = CommandParser('cbnet.commands.do_it', TEXT)
    parser.option('file FILE.txt', 'the file', new_file('.txt', '.text'))
    parser.option('--num N', 'the number', at_least(1), default=3)
    parser.option('--keys KEY ...', 'the keys')
    parser.option('--seeds N ...', 'the seeds', int, default=[0, 1])
    parser.section('more', 'Further options. ' * 5)
    parser.option('--amp', 'whether to do it fast')
    parser.option(
        '--least S', 'the score (default: 0.5, half)', fraction, default=0.5
    )
    return parser


def test_values_by_the_spelling(parser):
    args = parser.parse_args(['a.txt', '--keys', 'x', 'y', '--amp'])
    assert str(args.file) == 'a.txt' and args.keys == ['x', 'y'] and args.amp
    args = parser.parse_args(['b.text', '--num', '7', '--least', '1'])
    assert (args.num, args.least, args.keys, args.amp) == (7, 1.0, None, False)


def test_help(parser):
    shown = parser.format_help()
    assert shown.startswith('usage: cbnet do-it [options]\n')
    assert 'the number (default: 3)\n' in shown
    assert 'the seeds (default: 0 1)\n' in shown
    assert shown.count('default') == 3
    assert shown.index('Further options.') < shown.index('fast')
    assert max(map(len, shown.splitlines())) < 80
    assert shown.endswith('Examples:\n  cbnet do-it a.txt\n')


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['a.png'], 'argument FILE.txt: a.png must end in .txt or .text'),
        (['a.txt', '--num', '0'], 'argument --num: 0, expected 1 or more'),
        (['a.txt', '--num', '1.5'], 'argument --num: 1.5, expected 1 or more'),
        (
            ['a.txt', '--least', '2'],
            'argument --least: 2, expected a number from 0 to 1',
        ),
    ],
)
def test_refused_values(arguments, message, parser, capsys):
    with pytest.raises(SystemExit):
        parser.parse_args(arguments)
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == f'cbnet do-it: error: {message}'


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        (['a.txt', '--from', 'a.txt'], 'FILE.txt: a.txt is --from; name'),
        (['b.txt', '--keys', 'x', '../in/a.txt'], 'b.txt is one of --keys'),
        (['a.txt', '--from', 'gone.txt'], ''),
        (['new.txt', '--from', 'a.txt'], ''),
    ],
)
def test_files_that_are_read(
    parser, arguments, said, tmp_path, monkeypatch, capsys
):
    (tmp_path / 'in').mkdir()
    monkeypatch.chdir(tmp_path / 'in')
    (tmp_path / 'in' / 'a.txt').touch()
    (tmp_path / 'in' / 'b.txt').symlink_to('a.txt')
    parser.option('--from FILE', 'the file to read')
    if not said:
        parser.parse_args(arguments)
        return
    with pytest.raises(SystemExit):
        parser.parse_args(arguments)
    assert said in capsys.readouterr().err


def test_results_are_not_written_over(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'found.json').write_text('[]')
    given = ['truth.json', 'found.json', '--out', 'found.json']
    with pytest.raises(SystemExit):
        eval_coco.make_parser().parse_args(given)
    assert 'found.json is RESULTS' in capsys.readouterr().err


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    folder = tmp_path / 'a' / 'b'
    assert new_folder(str(folder)) == folder
    # An administrator may write everywhere.
    monkeypatch.setattr(os, 'access', lambda place, _: place != tmp_path)
    with pytest.raises(ArgumentTypeError, match=f'into {tmp_path}; name'):
        new_folder(str(folder))
    folder.mkdir(parents=True)
    assert new_folder(str(folder)) == folder
