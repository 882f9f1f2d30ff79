"""``import cbnet`` gives the package wherever Python is started.

A clone is often named cbnet itself: beside it, and beside any other folder
of that name, the installed package must win over the folder.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import cbnet

CODE = 'from importlib.util import *; print(find_spec("cbnet").origin)'


@pytest.mark.parametrize('place', ['above a clone', 'inside', 'elsewhere'])
def test_the_package_is_found(place, tmp_path):
    folder = Path(cbnet.__file__).parents[1]
    if place != 'inside':
        folder = tmp_path
    if place == 'above a clone':
        (tmp_path / 'cbnet' / 'configs').mkdir(parents=True)
    found = subprocess.run(
        [sys.executable, '-c', CODE],
        cwd=folder,
        env={k: v for k, v in os.environ.items() if k != 'PYTHONPATH'},
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stderr
    assert Path(found.stdout.strip()).name == '__init__.py'
