"""Nothing that mmdet names of mmcv.ops is left unserved.

Scenarios: mmdet's imports of mmcv.ops and the types in its configs lead to
files of mmcv.ops, whose operators are served; those that are served, and the
library that computes them, are those of docs/operators.md.
"""

import ast
import functools
import re
import sys
from pathlib import Path

import mmcv
import mmdet
import pytest
from mmcv import ops
from mmdet.registry import MODELS
from mmdet.utils import register_all_modules

from cbnet.compat import served_ops

PAGE = Path(__file__).parents[2] / 'docs' / 'operators.md'
# nms.py asks for these as well; mmdet has no rotated boxes.
ROTATED = {'nms_rotated', 'nms_quadri'}
# Of CLRHead in mmdet's fork, which finds lanes, not objects.
LANES = {'line_nms_forward'}


def imported_names():
    """What the files of mmdet import from mmcv.ops and its modules."""
    names = set()
    for file in Path(mmdet.__file__).parent.rglob('*.py'):
        if '.mim' in file.parts:
            continue
        text = file.read_text(encoding='utf-8')
        if 'mmcv.ops' not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and (
                node.module or ''
            ).startswith('mmcv.ops'):
                names |= {alias.name for alias in node.names}
    return names


def config_types():
    """The types in mmdet's configs."""
    folder = Path(mmdet.__file__).parent / '.mim' / 'configs'
    names = set()
    for file in folder.rglob('*.py'):
        text = file.read_text(encoding='utf-8')
        names |= set(re.findall(r"type='(\w+)'", text))
    return names


def module_of(name):
    """The file of mmcv.ops that defines a name or registered type, or None."""
    found = MODELS.get(name)
    if found is None or not found.__module__.startswith('mmcv.ops.'):
        found = getattr(ops, name, None)
    module = getattr(found, '__module__', None) or ''
    if module.startswith('mmcv.ops.'):
        return module
    # Functions made by autograd.Function.apply do not say where they are.
    for other in sorted(sys.modules):
        if other.startswith('mmcv.ops.') and found is not None:
            if vars(sys.modules[other]).get(name) is found:
                return other
    return None


@functools.cache
def asked_by(module):
    """The operators that a file of mmcv.ops asks for."""
    file = Path(mmcv.__file__).parent / 'ops' / f'{module.split(".")[-1]}.py'
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Call) and (
            getattr(node.func, 'attr', None) == 'load_ext'
        ):
            names |= set(ast.literal_eval(node.args[1]))
    return names


@pytest.mark.parametrize('names', [imported_names, config_types])
@pytest.mark.filterwarnings('ignore')
def test_what_mmdet_names_is_served(names):
    register_all_modules()
    modules = {module_of(name) for name in names()} - {None}
    asked = set().union(*map(asked_by, modules))
    assert {'nms', 'deform_conv_forward'} <= asked
    assert asked - set(served_ops()) <= ROTATED | LANES
    if names is config_types:
        assert {'sync_bn_forward_mean', 'deform_roi_pool_forward'} <= asked
    else:
        assert {'roi_pool_forward', 'ms_deform_attn_forward'} <= asked


def test_the_page():
    rows = {}
    for line in PAGE.read_text(encoding='utf-8').splitlines():
        cells = [cell.strip() for cell in line.split('|')]
        if len(cells) == 6 and cells[1].startswith('`'):
            for name in re.findall(r'`(\w+)`', cells[1]):
                rows[name] = re.match(r'\w+', cells[3])[0]
    assert rows == served_ops()
