"""The check of the stack when cbnet is imported.

Scenarios: the installed stack passes; every part missing; parts too old, and
at the oldest version; newer mmcv and mmengine than mmdet takes, which its
fork takes; several problems in one sentence; forks and compiled builds are
enough, or named and removed; two owners are warned of, and are an error only
if none works; the remedies are what setup.py installs.
"""

import ast
import re
import warnings
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from cbnet.compat import versions
from cbnet.compat.owners import Owner
from cbnet.compat.versions import STACK, check_versions

GOOD = {
    'numpy': [('numpy', '2.0')],
    'torch': [('torch', '2.6.0+cu118')],
    'torchvision': [('torchvision', '0.21')],
    'timm': [('timm', '1.0.26')],
    'pycocotools': [('pycocotools', '2.0.8')],
    'mmengine': [('mmengine', '0.10.7')],
    'mmcv': [('mmcv-lite', '2.1.0')],
    'mmdet': [('mmdet', '3.3.0')],
}


@pytest.fixture
def check(monkeypatch):
    """Check a stack that differs from a good one; give error or warnings."""

    def run(**stack):
        owners = {
            name: [Owner(*pair, Path('site')) for pair in pairs]
            for name, pairs in {**GOOD, **stack}.items()
        }
        monkeypatch.setattr(versions, 'every_owner', lambda names: owners)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            try:
                check_versions()
            except ImportError as error:
                return str(error)
        return [str(warning.message) for warning in caught]

    return run


def test_the_installed_stack(recwarn):
    check_versions()
    assert not recwarn


def test_a_good_stack(check):
    assert check() == []


@pytest.mark.parametrize('name', STACK)
def test_missing(check, name):
    message = check(**{name: []})
    part = STACK[name]
    start = f'cbnet needs {name} >= {part.oldest}'
    assert message.startswith(start)
    assert '(found none); run: pip install ' in message
    assert part.install in message
    assert 'CBNET_START=no python -m cbnet.doctor' in message


@pytest.mark.parametrize('name', STACK)
def test_too_old(check, name):
    distribution = Requirement(STACK[name].install).name
    assert 'found 0.1' in check(**{name: [(distribution, '0.1')]}).replace(
        'found mmcv-lite 0.1', 'found 0.1'
    )
    oldest = [(distribution, STACK[name].oldest)]
    assert check(**{name: oldest}) == []


def test_several_in_one_sentence(check):
    message = check(timm=[], mmdet=[('mmdet', '3.0.0')])
    assert message == (
        'cbnet needs timm >= 1.0.26 (found none) and mmdet >= 3.3 (found '
        "3.0.0); run: pip install 'timm>=1.0.26' mmdet==3.3.0 (for everything "
        'else that is wrong: CBNET_START=no python -m cbnet.doctor)'
    )


def test_torch_brings_its_torchvision(check):
    message = check(torch=[('torch', '2.5.1')])
    assert "run: pip install 'torch>=2.6' 'torchvision>=0.21' (" in message


@pytest.mark.parametrize(
    ('name', 'distribution', 'version', 'command'),
    [
        (
            'mmcv', 'mmcv', '2.2.0',
            'pip uninstall -y mmcv && pip install mmcv-lite==2.1.0',
        ),
        (
            'mmcv', 'onedl-mmcv', '2.3.0',
            'pip uninstall -y onedl-mmcv && pip install mmcv-lite==2.1.0',
        ),
        ('mmcv', 'mmcv-lite', '2.2.0', 'run: pip install mmcv-lite==2.1.0'),
        ('mmengine', 'mmengine', '1.0.0', 'run: pip install mmengine==0.10.7'),
    ],
)  # fmt: skip
def test_too_new_for_mmdet(check, name, distribution, version, command):
    owner = [(distribution, version)]
    message = check(**{name: owner})
    below = {'mmcv': '2.2', 'mmengine': '1.0'}[name]
    assert f', < {below} (found ' in message and version in message
    assert command in message
    assert check(**{name: owner}, mmdet=[('onedl-mmdetection', '3.4')]) == []


def test_an_old_compiled_build(check):
    message = check(mmcv=[('mmcv-full', '1.7.2')])
    assert 'mmcv >= 2.0, < 2.2 (found mmcv-full 1.7.2)' in message
    assert 'pip uninstall -y mmcv-full && pip install mmcv-lite' in message


def test_compiled_builds_and_forks_are_enough(check):
    assert check(mmcv=[('mmcv', '2.1.0')]) == []
    assert (
        check(
            mmengine=[('onedl-mmengine', '0.10.9')],
            mmcv=[('onedl-mmcv', '2.3.0')],
            mmdet=[('onedl-mmdetection', '3.4.0')],
        )
        == []
    )


def test_two_owners(check):
    two = [('mmcv', '2.2.0'), ('mmcv-lite', '2.1.0')]
    (message,) = check(mmcv=two)
    assert message == (
        'mmcv 2.2.0 and mmcv-lite 2.1.0 both install the package mmcv and '
        "overwrite each other's files; run: pip uninstall -y mmcv mmcv-lite "
        '&& pip install mmcv-lite==2.1.0'
    )
    message = check(mmcv=[('mmcv', '2.2.0'), ('mmcv-full', '1.7.2')])
    assert message.startswith('cbnet needs mmcv >= 2.0, < 2.2 (found 2.2.0)')


def test_remedies_are_what_setup_installs():
    setup = ast.parse((Path(__file__).parents[2] / 'setup.py').read_text())
    listed = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in setup.body
        if isinstance(node, ast.Assign)
        and node.targets[0].id in ('REQUIRES', 'EXTRAS')
    }
    wanted = [*listed['REQUIRES'], *listed['EXTRAS']['openmmlab']]
    bounds = {r.name: r.specifier for r in map(Requirement, wanted)}
    for name, part in STACK.items():
        remedy = Requirement(part.install)
        assert remedy.name in bounds, name
        if bounds[remedy.name]:
            assert remedy.specifier == bounds[remedy.name]
        pin = re.search('==(.*)', part.install)
        assert not pin or Version(pin[1]) >= Version(part.oldest)
