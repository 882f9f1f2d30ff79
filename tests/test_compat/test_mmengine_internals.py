"""Only one module knows what mmengine does not publish.

- no other module reads a private name of mmengine, imports one or overrides
  a private method; the check finds each of these in an example;
- a config that imports its types is told from one that names them;
- a method whose calls were answered is the object's own again, also after an
  error.

What else the module does is tested where it is used: test_engine and
test_safe_loading.py.
"""

import ast
import importlib
import pkgutil
import re
from pathlib import Path

import mmengine
import pytest

import cbnet
from cbnet.compat.mmengine_internals import answer_calls, is_pure_python

ROOT = Path(cbnet.__file__).parent
ALLOWED = 'cbnet.compat.mmengine_internals'


def mmengines_names():
    """List the private methods, functions and attributes of mmengine."""
    found = set()
    for path in Path(mmengine.__file__).parent.rglob('*.py'):
        text = path.read_text(encoding='utf-8')
        found.update(
            re.findall(r'(?:def|class|self\.|cls\.) ?(_[a-zA-Z]\w*)', text)
        )
    return found


def names_read(tree):
    """Yield the private names that a module reads of other objects."""
    own = {'self', 'cls'}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            value = node.value
            if not (isinstance(value, ast.Name) and value.id in own):
                yield node.attr
        elif isinstance(node, ast.ImportFrom):
            if (node.module or '').startswith('mmengine'):
                yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.Call):
            if getattr(node.func, 'id', '') in ('getattr', 'setattr'):
                yield getattr(node.args[1], 'value', None)


def overridden(module):
    """Yield the private methods of mmengine that a module's classes have."""
    for kind in vars(module).values():
        if isinstance(kind, type) and kind.__module__ == module.__name__:
            for base in kind.__mro__:
                if base.__module__.startswith('mmengine.'):
                    both = vars(kind).keys() & vars(base).keys()
                    # Metaclasses add these.
                    yield from both - {'_abc_impl', '_instance_dict'}


def is_private(name):
    return isinstance(name, str) and re.match('_[a-zA-Z]', name)


def touched(source):
    return sorted(
        filter(
            is_private, mmengines_names() & {*names_read(ast.parse(source))}
        )
    )


def test_the_check_finds_every_way_of_reading():
    assert touched('runner._train_loop') == ['_train_loop']
    assert touched('super()._swap_ema_parameters()') == [
        '_swap_ema_parameters'
    ]
    assert touched("getattr(runner, '_load_from', None)") == ['_load_from']
    assert touched(
        'from mmengine.runner.checkpoint import _load_checkpoint'
    ) == ['_load_checkpoint']
    assert touched('self._check(runner.epoch)\nos._exit(2)') == []


def test_no_other_module_touches_private_names():
    names = mmengines_names()
    assert {'_load_from', '_train_loop', '_is_lazy_import'} <= names
    for info in pkgutil.walk_packages([str(ROOT)], 'cbnet.'):
        if info.name == ALLOWED or info.name.endswith('__main__'):
            continue
        module = importlib.import_module(info.name)
        tree = ast.parse(Path(module.__file__).read_text(encoding='utf-8'))
        found = {*names_read(tree)} & names | {*overridden(module)}
        assert not list(filter(is_private, found)), info.name


CONFIGS = {
    'from mmdet.models import RetinaNet\nmodel = dict(type=RetinaNet)': True,
    "_base_ = './other.py'": False,
    "model = dict(type='RetinaNet')": False,
    'model = dict(': False,
}


@pytest.mark.parametrize('text', CONFIGS)
def test_pure_python_configs(tmp_path, text):
    path = tmp_path / 'config.py'
    path.write_text(text)
    assert is_pure_python(path) is CONFIGS[text]
    path = path.rename(tmp_path / 'config.yaml')
    assert not is_pure_python(path)


def test_answered_calls():
    class Head:
        def predict(self):
            return 'own'

    head = Head()
    with pytest.raises(KeyError), answer_calls(head, 'predict', str):
        with answer_calls(head, 'predict', int):
            assert head.predict() == 0
        assert head.predict() == ''
        raise KeyError
    assert head.predict() == 'own' and not vars(head)
