"""Environments to examine: one with the real stack, one of fakes."""

import fnmatch
import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from cbnet.compat.versions import STACK
from cbnet.version import __version__

ROOT = Path(__file__).parents[2]

# Just enough for the doctor's probes to succeed.
FAKES = {
    'numpy/__init__.py': "__version__ = '2.0'\ndef zeros(n): return n\n",
    'torch/__init__.py': """\
from types import SimpleNamespace as Some
from numpy import zeros
__version__ = '2.15.0'
cuda = Some(is_available=lambda: False)
backends = Some(mps=Some(is_available=lambda: False))
version = Some(cuda=None)
def from_numpy(x): return x
def zeros(*shape): return shape
def ones(*shape, device): return Some(sum=lambda: Some(item=lambda: 1))
def get_num_threads(): return 1
""",
    'torchvision/__init__.py': "__version__ = '0.30.0'\n",
    'torchvision/ops.py': 'def nms(boxes, scores, threshold): return 0\n',
    'pycocotools/mask.py': '',
    'mmengine/config.py': 'class Config: fromfile = print\n',
    'mmcv/__init__.py': "__version__ = '2.1.0'\n",
    'mmcv/ops/nms.py': "ext_loader.load_ext('_ext', ['nms', 'softnms'])\n",
    'mmcv/_ext.py': 'nms = print\n',
    'pkg_resources/__init__.py': '',
}


class Environment:
    """A virtual environment whose site-packages the test fills."""

    def __init__(self, folder):
        self.folder = folder
        subprocess.run(
            [sys.executable, '-m', 'venv', '--without-pip', folder],
            check=True,
        )
        self.python = folder / 'bin' / 'python'
        version = f'python{sys.version_info[0]}.{sys.version_info[1]}'
        self.site = folder / 'lib' / version / 'site-packages'
        self._add_cbnet()

    def _add_cbnet(self):
        package = self.site / 'cbnet'
        (package / '.mim').mkdir(parents=True)
        for path in (ROOT / 'cbnet').iterdir():
            if path.name not in ('__pycache__', '.mim'):
                (package / path.name).symlink_to(path)
        for name in ('configs', 'tools', 'model-index.yml'):
            (package / '.mim' / name).symlink_to(ROOT / name)
        name = 'cbnet_command.py'
        (self.site / name).symlink_to(ROOT / name)
        self.add_distribution('cbnet', __version__, 'cbnet')

    def add_installed(self, *patterns, without=()):
        """Link what the tests run with, the real thing."""
        folders = {sysconfig.get_path(name) for name in ('purelib', 'platlib')}
        for folder in map(Path, folders):
            for path in folder.iterdir():
                wanted = [fnmatch.fnmatch(path.name, p) for p in patterns]
                left_out = [fnmatch.fnmatch(path.name, p) for p in without]
                if any(wanted) and not any(left_out):
                    (self.site / path.name).symlink_to(path)

    def add_distribution(self, name, version, module, requires=()):
        """Write only the metadata."""
        stem = f'{name.replace("-", "_")}-{version}.dist-info'
        info = self.site / stem
        info.mkdir()
        fields = [f'Name: {name}', f'Version: {version}']
        fields += [f'Requires-Dist: {text}' for text in requires]
        (info / 'METADATA').write_text('\n'.join(fields) + '\n')
        (info / 'RECORD').write_text(f'{module}/__init__.py,,\n')

    def add_module(self, name, code=''):
        package = self.site / name
        package.mkdir(exist_ok=True)
        (package / '__init__.py').write_text(code)
        return package

    def start_cbnet(self):
        """Let ``import cbnet`` do what it does, on a stack of fakes too."""
        start = self.site / 'cbnet' / '__init__.py'
        start.unlink()
        start.symlink_to(ROOT / 'cbnet' / '__init__.py')

    def run(self, *arguments, **more):
        """Run Python in an empty folder, with more environment variables."""
        empty = self.folder / 'empty'
        empty.mkdir(exist_ok=True)
        variables = {**os.environ, 'OMP_NUM_THREADS': '1'}
        for name in ('PYTHONPATH', 'CUDA_VISIBLE_DEVICES'):
            variables.pop(name, None)
        return subprocess.run(
            [self.python, *map(str, arguments)],
            cwd=empty,
            env={**variables, **more},
            capture_output=True,
            text=True,
        )

    def examine(self, **more):
        """Run the doctor; give exit status, text and JSON.

        ``CBNET_START='no'`` is for stacks on which ``import cbnet`` fails.
        """
        file = self.folder / 'doctor.json'
        file.unlink(missing_ok=True)  # that of an earlier call
        done = self.run('-m', 'cbnet.doctor', '--json', file, **more)
        assert file.exists(), done.stderr
        report = json.loads(file.read_text())
        return done.returncode, done.stdout, report


@pytest.fixture
def environment(tmp_path):
    """An environment that has cbnet and nothing else."""
    return Environment(tmp_path / 'environment')


@pytest.fixture
def real(environment):
    """Fill an environment with the installed stack, but for some files."""

    def fill(*without):
        mine = ('cbnet*', '__editable__*cbnet*')
        environment.add_installed('*', without=(*mine, *without))
        return environment

    return fill


@pytest.fixture
def fake(environment):
    """An environment with a stack of fakes, in which all is well."""
    environment.add_installed('packaging*', 'rich*')
    start = environment.site / 'cbnet' / '__init__.py'
    start.unlink()
    start.write_text(f'__version__ = {__version__!r}\n')
    versions = {'torch': '2.15.0', 'torchvision': '0.30.0'}
    for name, part in STACK.items():
        requirement = Requirement(part.install)
        pinned = [pin.version for pin in requirement.specifier
                  if pin.operator == '==']  # fmt: skip
        version = versions.get(name) or (pinned or ['2.0'])[0]
        environment.add_distribution(requirement.name, version, name)
        environment.add_module(name)
    environment.add_distribution('setuptools', '80.0.0', 'setuptools')
    for name, code in FAKES.items():
        file = environment.site / name
        file.parent.mkdir(exist_ok=True, parents=True)
        file.write_text(code)
    return environment
