"""A copy of the source tree to build in, and what is built from it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='session')
def run_python():
    """Run Python with arguments; give its standard output."""

    def run(*arguments, **options):
        done = subprocess.run(
            [sys.executable, *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            **options,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture(scope='session')
def source(tmp_path_factory):
    """A copy of what git tracks, and a leftover of an earlier build."""
    copy = tmp_path_factory.mktemp('source')
    ignore = shutil.ignore_patterns(
        '.*', '__pycache__', '*.egg-info', 'build', 'dist', 'work_dirs'
    )
    for path in ROOT.iterdir():
        if path.name in ('cbnet', 'configs', 'tools'):
            shutil.copytree(path, copy / path.name, ignore=ignore)
        elif path.is_file():
            shutil.copy2(path, copy / path.name)
    leftover = copy / 'build' / 'lib' / 'cbnet' / 'removed_long_ago.py'
    leftover.parent.mkdir(parents=True)
    leftover.touch()
    return copy


@pytest.fixture(scope='session')
def build_wheel(run_python):
    """Build a wheel of a folder or an sdist into a folder, without network."""

    def build(what, folder):
        run_python(
            '-m', 'pip', 'wheel', '--quiet', '--no-deps', '--no-index',
            '--no-build-isolation', '--wheel-dir', folder, what,
        )  # fmt: skip
        (wheel,) = folder.glob('*.whl')
        return wheel

    return build


@pytest.fixture(scope='session')
def wheel(source, build_wheel, tmp_path_factory):
    """A wheel built from the source tree."""
    return build_wheel(source, tmp_path_factory.mktemp('wheel'))


@pytest.fixture(scope='session')
def installed(wheel, run_python, tmp_path_factory):
    """A folder that holds the installed wheel, for PYTHONPATH."""
    folder = tmp_path_factory.mktemp('installed')
    run_python(
        '-m', 'pip', 'install', '--quiet', '--no-deps', '--no-index',
        '--target', folder, wheel,
    )  # fmt: skip
    return folder
