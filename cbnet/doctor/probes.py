"""Load the stack piece by piece in a process of its own.

What is broken may raise anything, write anywhere or end the process, so the
doctor runs this file as another program (``run_probes``) that writes a line
of JSON before and after each probe.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

PREFIXES = {
    'mmdet::': 'mmdet::_base_/default_runtime.py',
    'cbnet::': 'cbnet::cbnet/quickstart.py',
}


class Probe(NamedTuple):
    """A piece of the stack to try."""

    run: Callable[[], dict[str, Any]]
    needs: tuple[str, ...] = ()  # pieces that fail it when they fail


def _load(name: str, module: str | None = None) -> dict[str, Any]:
    importlib.import_module(module or name)
    package = sys.modules[name]
    version = getattr(package, '__version__', None)
    return dict(version=version, file=package.__file__)


def _load_torch() -> dict[str, Any]:
    found = _load('torch')
    import numpy
    import torch

    torch.from_numpy(numpy.zeros(1))
    return found


def _load_torchvision() -> dict[str, Any]:
    found = _load('torchvision')
    import torch
    from torchvision.ops import nms

    nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
    return found


def _find_operators() -> dict[str, Any]:
    from .operators import operator_sources

    return dict(sources=operator_sources())


def _find_devices() -> dict[str, Any]:
    import torch

    from .devices import list_devices, unused_driver

    return dict(
        devices=list_devices(),
        unused_driver=unused_driver(),
        cuda=torch.version.cuda,
    )


def _start_cbnet() -> dict[str, Any]:
    # It stood aside so far; now it starts as for everybody.
    importlib.reload(sys.modules['cbnet'])
    return {}


def _resolve(prefix: str) -> dict[str, Any]:
    from mmengine.config import Config

    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, 'child.py')
        config.write_text(f'_base_ = {PREFIXES[prefix]!r}\n')
        Config.fromfile(config)
    return {}


def _module(name: str, module: str | None = None, *needs: str) -> Probe:
    return Probe(partial(_load, name, module), needs)


# In this order: a piece after what it needs.  Where a package loads its
# compiled part late, the module that holds it is named.
PROBES = {
    'numpy': _module('numpy'),
    'torch': Probe(_load_torch, ('numpy',)),
    'torchvision': Probe(_load_torchvision, ('torch',)),
    'timm': _module('timm', None, 'torch', 'torchvision'),
    'pycocotools': _module('pycocotools', 'pycocotools.mask', 'numpy'),
    'cv2': _module('cv2', None, 'numpy'),
    'scipy': _module('scipy', 'scipy.optimize', 'numpy'),
    'shapely': _module('shapely', None, 'numpy'),
    'matplotlib': _module('matplotlib', 'matplotlib.pyplot', 'numpy'),
    'faster_coco_eval': _module('faster_coco_eval', None, 'numpy'),
    'mmengine': _module('mmengine', None, 'torch', 'cv2', 'matplotlib'),
    'mmcv': _module('mmcv', None, 'mmengine', 'cv2'),
    'mmcv.ops': Probe(_find_operators, ('mmcv', 'torch', 'torchvision')),
    'mmdet': _module(
        'mmdet', None, 'mmcv', 'pycocotools', 'scipy', 'shapely', 'matplotlib'
    ),
    'cbnet': Probe(_start_cbnet, ('mmdet', 'mmcv.ops', 'timm')),
    'mmdet::': Probe(partial(_resolve, 'mmdet::'), ('mmdet', 'setuptools')),
    'cbnet::': Probe(partial(_resolve, 'cbnet::'), ('cbnet', 'mmdet::')),
    'devices': Probe(_find_devices, ('torch',)),
}


def run_probes() -> dict[str, dict[str, Any]]:
    """Run every probe in a process of its own.

    Returns:
        Probe -> what it found, or ``error``: the exception as text, and
        ``missing``: the module that was not found, if that is why.
    """
    results: dict[str, dict[str, Any]] = {}
    while len(results) < len(PROBES):
        names = [name for name in PROBES if name not in results]
        done = subprocess.run(
            [sys.executable, '-m', __name__, *names],
            capture_output=True,
            text=True,
            check=False,
        )
        found, running = {}, None
        for line in done.stdout.splitlines():
            running, result = json.loads(line)
            found[running] = result
        if running is None:
            raise RuntimeError(f'{sys.executable} failed: {done.stderr}')
        if found[running] is None:
            found[running] = dict(error=_cause_of_death(done))
        results |= found
    return results


def _cause_of_death(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        return f'ends the process with {name}'
    last = done.stderr.strip().splitlines()[-1:]
    return ': '.join(['ends the process', *last])


def main() -> None:
    """Run the probes that the command line names."""
    # Whatever the pieces print must not come between the lines of JSON.
    channel = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1)

    def tell(name: str, result: dict[str, Any] | None) -> None:
        channel.write(json.dumps([name, result]) + '\n')
        channel.flush()

    for name in sys.argv[1:]:
        tell(name, None)
        try:
            result = PROBES[name].run()
        except Exception as error:
            result = dict(error=f'{type(error).__name__}: {error}')
            if isinstance(error, ModuleNotFoundError):
                result['missing'] = error.name
        tell(name, result)


if __name__ == '__main__':
    main()
