"""Messages to users: their parts, and rules that all of them keep.

1. near matches: case does not count, nothing unrelated is suggested;
2. lists and values are shortened, and say how much is left out;
3. no sentence of the package continues with a capital after a semicolon;
4. the first difference of two nested values is named by its place;
5. a command can be copied into a shell, whatever its paths are.
"""

import ast
import re
import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cbnet
from cbnet.messages import (
    brief,
    command,
    counted,
    did_you_mean,
    difference,
    listed,
    number_of,
    one_line,
    shortened,
)

CAPITALISED = {'None', 'True', 'False', 'Swin'}  # names keep theirs
NAMES = ('slc', 'ahlc', 'allc', 'dhlc', 'MaskRCNN')


@pytest.mark.parametrize(
    ('found', 'suggestion'),
    [
        ('DHLC', "; did you mean 'dhlc' or 'ahlc'?"),
        ('maskrcn', "; did you mean 'MaskRCNN'?"),
        ('xyz', ''),
        ('', ''),
        (3, ''),
    ],
)
def test_near_matches(found, suggestion):
    assert did_you_mean(found, NAMES) == suggestion


def test_lists_say_what_is_left_out():
    assert listed('abc', 3) == 'a, b, c'
    assert listed('abcdefg', 3) == 'a, b, c, and 4 more'
    assert listed([]) == ''


def test_names_that_differ_in_numbers_are_one():
    names = ['blocks.0.w', 'blocks.1.w', 'layer1.w', 'layer2.w', 'head']
    assert counted(names) == '5 (blocks.*.w x2, layer*.w x2, head)'
    assert counted(names, 1) == '5 (blocks.*.w x2, and 2 more)'
    assert counted(['head.2']) == '1 (head.2)'
    assert counted([]) == '0'


def test_texts_are_one_line():
    assert one_line(ValueError('a\n  b')) == 'a b'
    assert one_line(KeyError('name')) == 'name'
    assert one_line(AssertionError()) == 'AssertionError'
    assert one_line('word ' * 9, 14) == 'word word ...'
    assert brief(dict(a=1)) == "{'a': 1}"
    assert brief('x' * 99, 20) == "'" + 'x' * 15 + ' ...'
    assert shortened('x' * 20, 20) == 'x' * 20
    assert shortened('x' * 21, 20) == 'x' * 16 + ' ...'


def text_of(node: ast.JoinedStr) -> str:
    """The text of an f-string, with the fallback of ``{x or "..."}``."""
    parts = []
    for part in node.values:
        if isinstance(part, ast.FormattedValue):
            part = getattr(part.value, 'values', [part])[-1]
        parts.append(part.value if isinstance(part, ast.Constant) else 'x')
    return ''.join(map(str, parts))


def test_no_capital_after_a_semicolon():
    wrong = []
    for path in Path(cbnet.__file__).parent.rglob('*.py'):
        tree = ast.parse(path.read_text())
        texts = [
            text_of(node) if isinstance(node, ast.JoinedStr) else node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.JoinedStr)
            or (isinstance(node, ast.Constant) and isinstance(node.value, str))
        ]
        for text in texts:
            words = re.findall(r';\s+([A-Z][a-z]+)\b', text)
            wrong += [f'{path.name}: {text}' for _ in {*words} - CAPITALISED]
    assert not wrong, '\n'.join(wrong)


def test_number_of():
    things = 'images without objects'
    found = [number_of(n, things) for n in (0, 1, 2)]
    assert found == [f'0 {things}', '1 image without objects', f'2 {things}']


NESTED = st.recursive(
    st.integers(0, 3) | st.sampled_from(['a', None]),
    lambda part: (
        st.lists(part, max_size=3)
        | st.dictionaries(st.sampled_from('abc'), part, max_size=3)
    ),
    max_leaves=8,
)


@given(NESTED, st.lists(st.sampled_from(['x', 'y', 0]), max_size=3))
def test_a_difference(value, path):
    now = 2
    known = 1
    for key in reversed(path):
        rest = [value, value] if key == 0 else {'a': value}
        known, now = (
            [one, *rest] if key == 0 else {**rest, key: one}
            for one in (known, now)
        )
    assert difference(known, known) == difference(now, now) == ''
    place = '.'.join(map(str, path))
    assert difference(known, now) == f'{place} is 1, not 2'
    if 'x' in path:
        assert difference(known, now, free={'x'}) == ''


def test_what_is_no_difference():
    assert difference(dict(a=(1, 2), b=None), dict(a=[1, 2])) == ''
    assert difference(dict(a=[1]), dict(a=[1, 2])) == 'a is [1], not [1, 2]'
    assert difference({}, dict(a=1), place='x') == 'x.a is None, not 1'


@given(st.lists(st.text(st.characters(exclude_characters='\0')), min_size=1))
def test_a_command_can_be_copied(words):
    assert shlex.split(command(*words)) == words


def test_a_plain_command_is_not_quoted():
    assert command('cbnet', 'test', Path('a/b-1.py'), 'x=1') == (
        'cbnet test a/b-1.py x=1'
    )
