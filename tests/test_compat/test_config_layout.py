"""Configs are laid out quickly, and say the same as before.

1. Any config's text has the same syntax tree, and reads as the same config;
   no line that could be split is wide; a second layout changes nothing.
2. Other code, and what is no code, is yapf's or mmengine's affair.
"""

import ast
import keyword
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.config import Config, ConfigDict
from mmengine.config import config as mmengine_config

from cbnet.compat.config_layout import lay_out_quickly, quick_layout

CONFIGS = Path(__file__).parents[2] / 'configs' / 'cbnet'
NAMES = st.from_regex(r'[a-z][a-z_]{0,9}', fullmatch=True).filter(
    lambda name: not keyword.iskeyword(name)
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(NAMES | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=25,
)


def no_yapf(text, **options):
    raise AssertionError('yapf was called')


def tree(text):
    return ast.dump(ast.parse(text))


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(NAMES, VALUES, max_size=4))
def test_the_same_syntax_tree(values):
    text = ''.join(f'{name} = {value!r}\n' for name, value in values.items())
    done, _ = quick_layout(text, no_yapf)
    assert tree(done) == tree(text)
    assert quick_layout(done, no_yapf) == (done, False)


@pytest.mark.parametrize(
    'file', ['dual_r50.py', 'dual_swin_l.py', 'quickstart.py']
)
def test_a_config(file):
    cfg = Config.fromfile(CONFIGS / file)
    text = cfg.pretty_text
    assert mmengine_config.FormatCode.cbnet
    values = {}
    exec(text, values)
    values.pop('__builtins__')
    assert ConfigDict(values) == cfg.to_dict()
    for line in text.splitlines():
        assert len(line) < 80 or ' ' not in line.strip().rstrip(',')


def test_other_code():
    said = quick_layout('import a\n', lambda text, **options: (text, options))
    assert said == ('import a\n', {})
    with pytest.raises(SyntaxError):
        Config(dict(a=object())).pretty_text  # noqa: B018


def test_once(monkeypatch):
    before = mmengine_config.FormatCode
    lay_out_quickly()
    assert mmengine_config.FormatCode is before
