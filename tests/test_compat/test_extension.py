"""The served module mmcv._ext and install_ops.

Scenarios: in a fresh process, after mmcv.ops and mmdet failed to import;
nothing heavy is imported by installing; called twice; a compiled module and
another package's stand-in stay in use; mmcv is not installed; found by import,
mmengine and as an attribute; unserved operators fail when called; private
names are absent; the table of operators.
"""

import copy
import importlib.util
import inspect
import os
import pickle
import subprocess
import sys
import types
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
import torch
from mmengine.utils.dl_utils import mmcv_full_available

from cbnet.compat import extension, install_ops, served_ops
from cbnet.compat.ops import table
from cbnet.compat.owners import Owner
from cbnet.errors import UserError

FRESH = """
import sys
for name in ('mmcv.ops', 'mmdet.models'):
    try:
        __import__(name)
    except ImportError as error:
        assert '_ext' in str(error), error
    else:
        raise AssertionError(name + ' came without operators')
loaded = set(sys.modules)
from cbnet.compat import install_ops
assert install_ops() and install_ops()
new = set(sys.modules) - loaded
assert not [n for n in new if n.startswith(('mmcv.ops', 'mmdet'))], new
import mmcv.ops, mmdet.models
assert sys.modules['mmcv.ops.nms'].ext_module is sys.modules['mmcv._ext']
assert len([f for f in sys.meta_path if 'Served' in type(f).__name__]) == 1
"""

LIGHT = """
import sys
import cbnet.compat
assert not {'torch', 'mmcv', 'mmengine'} & set(sys.modules)
"""


def run_fresh(script):
    # Starting cbnet would import everything.
    done = subprocess.run(
        [sys.executable, '-c', script],
        env={**os.environ, 'CBNET_START': 'no'},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def ext():
    """The served module, in a process without a compiled one."""
    assert install_ops(), 'these tests need mmcv-lite, not a compiled mmcv'
    return sys.modules['mmcv._ext']


def test_after_imports_that_failed():
    run_fresh(FRESH)


def test_importing_the_package_is_light():
    run_fresh(LIGHT)


def test_found_every_way(ext):
    import mmcv
    from mmcv import _ext

    assert mmcv._ext is _ext is importlib.import_module('mmcv._ext') is ext
    assert ext.__spec__.name == ext.__name__ == 'mmcv._ext'
    assert importlib.util.find_spec('mmcv._ext').loader is not None
    assert mmcv_full_available()  # mmengine's way of looking


def test_installed_again_after_it_was_dropped(ext, monkeypatch):
    import mmcv

    monkeypatch.delitem(sys.modules, 'mmcv._ext')
    monkeypatch.delattr(mmcv, '_ext')
    finders = list(sys.meta_path)
    assert install_ops()
    assert mmcv._ext is sys.modules['mmcv._ext'] is not ext
    assert sys.meta_path == finders


def test_installed_again_into_a_fresh_mmcv(ext, monkeypatch):
    import mmcv

    monkeypatch.delattr(mmcv, '_ext')
    assert install_ops()
    assert mmcv._ext is ext


def test_a_compiled_module_stays(monkeypatch):
    compiled = types.ModuleType('mmcv._ext')
    compiled.__spec__ = ModuleSpec('mmcv._ext', loader=None, origin='_ext.so')
    monkeypatch.setitem(sys.modules, 'mmcv._ext', compiled)
    finders = list(sys.meta_path)
    assert not install_ops()
    assert sys.modules['mmcv._ext'] is compiled
    assert sys.meta_path == finders


def test_a_compiled_module_is_found_first(monkeypatch):
    class Compiled:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name == 'mmcv._ext':
                return ModuleSpec(name, loader=None, origin='_ext.so')

    monkeypatch.delitem(sys.modules, 'mmcv._ext')
    ours = extension.ServedOpsFinder
    others = [f for f in sys.meta_path if not isinstance(f, ours)]
    monkeypatch.setattr(sys, 'meta_path', [*others, Compiled, ours()])
    assert not install_ops()
    assert 'mmcv._ext' not in sys.modules


def test_a_stand_in_without_spec_stays(monkeypatch):
    other = types.ModuleType('mmcv._ext')
    monkeypatch.setitem(sys.modules, 'mmcv._ext', other)
    assert not install_ops()
    assert sys.modules['mmcv._ext'] is other


def test_without_mmcv(monkeypatch):
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    finders = list(sys.meta_path)
    assert not install_ops()
    assert sys.meta_path == finders


def test_unserved_operators_fail_when_called(ext):
    operator = ext.some_future_op_forward
    assert operator is ext.some_future_op_forward
    assert 'some_future_op_forward' not in served_ops()
    with pytest.raises(NotImplementedError) as caught:
        operator(1, stride=2)
    assert isinstance(caught.value, UserError)
    assert 'some_future_op_forward' in str(caught.value)


@pytest.mark.parametrize(
    ('owner', 'remedy'),
    [
        ('mmcv-lite 2.1.0', "pip install 'mmcv==2.1.0'"),
        ('onedl-mmcv 2.3.6', '--no-build-isolation onedl-mmcv==2.3.6'),
    ],
)
def test_the_remedy_of_an_unserved_operator(ext, monkeypatch, owner, remedy):
    found = Owner(*owner.split(), Path())
    monkeypatch.setattr(extension, 'every_owner', lambda _: {'mmcv': [found]})
    with pytest.raises(NotImplementedError) as caught:
        ext.line_nms_forward(1)  # the one that only the fork asks for
    assert f'has {owner}, and' in str(caught.value)
    assert remedy in str(caught.value)


@pytest.mark.parametrize('name', ['__path__', '__wrapped__', '_private'])
def test_private_names_are_absent(ext, name):
    with pytest.raises(AttributeError, match=name):
        getattr(ext, name)


def test_probing_and_pickling(ext):
    assert inspect.ismodule(inspect.unwrap(ext))
    assert set(served_ops()) <= {name for name, _ in inspect.getmembers(ext)}
    with pytest.raises(TypeError, match='module'):
        pickle.dumps(ext)
    with pytest.raises(TypeError, match='module'):
        copy.deepcopy(ext)


def test_the_table(ext):
    ops = served_ops()
    assert {
        'nms': 'torchvision',
        'softnms': 'torch',
        'roi_align_forward': 'torchvision',
        'roi_align_backward': 'torchvision',
        'sigmoid_focal_loss_forward': 'torch',
        'sigmoid_focal_loss_backward': 'torch',
    }.items() <= ops.items()
    assert set(ops.values()) == {'torchvision', 'torch'}
    assert all(getattr(ext, name) is table.SERVED[name][0] for name in ops)
    ops.clear()
    assert served_ops()


def test_an_operator_is_served_once():
    def nms():
        pass

    with pytest.raises(ValueError, match="'nms' is served twice"):
        table.serve('torch')(nms)


def test_operators_are_invisible_to_autograd(ext):
    logits = torch.zeros(2, 3, requires_grad=True)
    target, out = torch.tensor([0, 3]), torch.empty(2, 3)
    ext.sigmoid_focal_loss_forward(
        logits, target, logits.new_empty(0), out, gamma=2.0, alpha=0.25
    )
    assert not out.requires_grad
    assert (out > 0).all()


def test_environment_report(ext):
    from mmcv.utils import collect_env

    assert 'cbnet.compat' in collect_env()['MMCV Compiler']
