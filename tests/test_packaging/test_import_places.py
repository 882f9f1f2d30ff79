"""``import cbnet`` gives the package wherever Python is started.

A clone is often named cbnet itself: beside it, and beside any other folder
of that name, the installed package must win over the folder.  There, and in
a worker process, the package is whole: operators and safe loading are on.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import cbnet

CODE = 'from importlib.util import *; print(find_spec("cbnet").origin)'


SCRIPT = """
import io
import multiprocessing
import os

import torch
from mmengine.runner import CheckpointLoader

import cbnet


class Smuggled:
    def __reduce__(self):
        return io.open, ('marker', 'w')


def use(process):
    import mmcv.ops

    try:
        CheckpointLoader.load_checkpoint('net.pth')
    except Exception as error:
        said = type(error).__name__
    boxes = torch.tensor([[0.0, 0, 9, 9], [0, 0, 9, 8]])
    kept = mmcv.ops.nms(boxes, torch.ones(2), 0.5)[1].tolist()
    return process, said, kept, os.path.exists('marker')


if __name__ == '__main__':
    torch.save(Smuggled(), 'net.pth')
    pool = multiprocessing.get_context('spawn').Pool(1)
    print(use('main'), pool.apply_async(use, ['worker']).get(100), sep='\\n')
"""


def environment():
    kept = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
    return kept | {'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD': '1'}


def test_the_package_is_whole(tmp_path):
    (tmp_path / 'cbnet' / 'configs').mkdir(parents=True)
    (tmp_path / 'script.py').write_text(SCRIPT)
    found = subprocess.run(
        [sys.executable, 'script.py'],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert found.stdout.splitlines()[-2:] == [
        str((process, 'UnsafeCheckpointError', [0], False))
        for process in ('main', 'worker')
    ], found.stderr


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
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stderr
    assert Path(found.stdout.strip()).name == '__init__.py'
