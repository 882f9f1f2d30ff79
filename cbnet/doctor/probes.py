"""Load the stack piece by piece, in a process of its own.

A broken piece may raise anything, print anything or end the process.  So the
doctor runs this module as another program, which writes a line of JSON
before and after each piece.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from ..compat.versions import STACK

Results = dict[str, dict[str, Any]]
PREFIXES = {
    'mmdet::': 'mmdet::_base_/default_runtime.py',
    'cbnet::': 'cbnet::cbnet/quickstart.py',
}
# Each piece of the stack, with the pieces that it needs, which come first.
PIECES = {
    'numpy': (),
    'torch': ('numpy',),
    'torchvision': ('torch',),
    'timm': ('torch', 'torchvision'),
    'pycocotools': ('numpy',),
    'cv2': ('numpy',),
    'scipy': ('numpy',),
    'shapely': ('numpy',),
    'matplotlib': ('numpy',),
    'faster_coco_eval': ('numpy',),
    'mmengine': ('torch', 'cv2', 'matplotlib'),
    'mmcv': ('mmengine', 'cv2'),
    'mmcv.ops': ('mmcv', 'torch', 'torchvision'),
    'mmdet': ('mmcv', 'pycocotools', 'scipy', 'shapely', 'matplotlib'),
    'cbnet': (*STACK, 'mmcv.ops'),
    'mmdet::': ('mmdet', 'setuptools'),
    'cbnet::': ('cbnet', 'mmdet::'),
    'devices': ('torch',),
}
# The module that loads a package's compiled part, where that is loaded late.
COMPILED = {
    'pycocotools': 'pycocotools.mask',
    'scipy': 'scipy.optimize',
    'matplotlib': 'matplotlib.pyplot',
}


def try_piece(name: str) -> dict[str, Any]:
    """Load a piece and use it a little.

    Returns:
        The ``version`` and ``file`` of a package; ``sources`` of operators;
        ``devices``, ``unused_driver`` and ``cuda``, torch's CUDA version.
    """
    if name == 'mmcv.ops':
        from .operators import operator_sources

        return dict(sources=operator_sources())
    if name == 'devices':
        from .devices import describe_devices

        return describe_devices()
    if name in PREFIXES:
        from mmengine.config import Config

        with tempfile.TemporaryDirectory() as folder:
            config = Path(folder, 'child.py')
            config.write_text(f'_base_ = {PREFIXES[name]!r}\n')
            Config.fromfile(config)
        return {}
    if name == 'cbnet':
        del os.environ['CBNET_START']
        try:
            importlib.reload(sys.modules['cbnet'])
        except ImportError as error:
            # Without the advice to run the doctor.
            raise (error.__cause__ or error) from None
        return {}
    importlib.import_module(COMPILED.get(name, name))
    package = sys.modules[name]
    if name == 'torch':
        import numpy

        package.from_numpy(numpy.zeros(1))
    if name == 'torchvision':
        from torch import zeros
        from torchvision.ops import nms

        nms(zeros(1, 4), zeros(1), 0.5)
    version = getattr(package, '__version__', None)
    return dict(version=version, file=package.__file__)


def run_probes() -> Results:
    """Try every piece in a process of its own.

    Returns:
        What ``try_piece`` returned, by piece; or ``error``, the exception as
        text, and ``missing``, the module that was not found, or None.
    """
    results: Results = {}
    while len(results) < len(PIECES):
        names = [name for name in PIECES if name not in results]
        done = subprocess.run(
            [sys.executable, '-m', __name__, *names],
            env={**os.environ, 'CBNET_START': 'no'},
            capture_output=True,
            text=True,
            check=False,
        )
        found = dict(map(json.loads, done.stdout.splitlines()))
        if not found:
            raise RuntimeError(f'{sys.executable} failed: {done.stderr}')
        dead = dict(error=_cause_of_death(done), missing=None)
        for name, result in found.items():
            results[name] = dead if result is None else result
    return results


def _cause_of_death(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        return f'ends the process with {name}'
    last = done.stderr.strip().splitlines()[-1:]
    return ': '.join(['ends the process', *last])


def main() -> None:
    """Try the pieces that the command line names."""
    # What the pieces print must not come between the lines of JSON.
    channel = os.fdopen(os.dup(1), 'w', buffering=1)
    os.dup2(2, 1)
    for name in sys.argv[1:]:
        channel.write(json.dumps([name, None]) + '\n')
        try:
            result = try_piece(name)
        except Exception as error:
            text = f'{type(error).__name__}: {error}'
            lost = isinstance(error, ModuleNotFoundError)
            result = dict(error=text, missing=error.name if lost else None)
        channel.write(json.dumps([name, result]) + '\n')


if __name__ == '__main__':
    main()
