"""Load the stack piece by piece, in a process of its own.

A broken piece may raise anything, print anything or end the process.  So the
doctor runs this module as another program, which writes a line of JSON
before and after each piece.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from importlib import import_module, reload, util
from pathlib import Path
from typing import Any

from ..compat import install_ops, served_ops
from ..compat.versions import STACK
from ..messages import one_line

Facts = dict[str, Any]


def _use_torch() -> None:
    import numpy
    import torch

    torch.from_numpy(numpy.zeros(1))


def _use_torchvision() -> None:
    from torch import zeros
    from torchvision.ops import nms

    nms(zeros(1, 4), zeros(1), 0.5)


def _start_cbnet() -> Facts:
    del os.environ['CBNET_START']
    try:
        reload(sys.modules['cbnet'])
    except ImportError as error:
        # Without the advice to run the doctor.
        raise (error.__cause__ or error) from None
    return {}


def _inherit(base: str) -> Facts:
    """Read a config that inherits from another one."""
    from mmengine.config import Config

    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, 'child.py')
        config.write_text(f'_base_ = {base!r}\n')
        Config.fromfile(config)
    return {}


def list_operators() -> Facts:
    """Find the source of each operator that mmcv's files ask for.

    Returns:
        ``sources``: name -> compiled, torchvision, torch or not served.

    Raises:
        ImportError: mmcv has a compiled module, which cannot be loaded.
    """
    if install_ops():
        found = served_ops()
    else:
        found = dict.fromkeys(dir(import_module('mmcv._ext')), 'compiled')
    names = set()
    (folder,) = util.find_spec('mmcv').submodule_search_locations
    for file in Path(folder, 'ops').glob('*.py'):
        text = file.read_text(encoding='utf-8')
        for asked in re.findall(
            r"load_ext\(\s*'_ext',\s*\[(.*?)\]", text, re.S
        ):
            names |= set(re.findall(r"'(\w+)'", asked))
    return dict(
        sources={name: found.get(name, 'not served') for name in sorted(names)}
    )


def list_devices() -> Facts:
    """List the CPU and every accelerator.

    Returns:
        ``devices``, one dict each: ``name`` as torch takes it,
        ``description``, ``mixed_precision`` (the types of ``--amp``, the
        default first) and ``error``, the message with which a small sum
        failed, or None; ``unused_driver``, why torch uses no NVIDIA GPU
        although there is a driver, or None; ``cuda``, torch's CUDA version.
    """
    import torch

    def add(device: str) -> None:
        torch.ones(2, device=device).sum().item()

    cuda = torch.version.cuda
    threads = torch.get_num_threads()
    cpu = f'{os.cpu_count()} cores, torch uses {threads}'
    found = [('cpu', cpu, ['bfloat16'])]
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for index in range(count):
        gpu = torch.cuda.get_device_properties(index)
        text = (
            f'{gpu.name}, {gpu.total_memory / 2**30:.0f} GiB, capability '
            f'{gpu.major}.{gpu.minor}, CUDA {cuda}'
        )
        # GPUs before capability 8 emulate bfloat16.
        types = ['float16', 'bfloat16'][: 1 + (gpu.major >= 8)]
        found.append((f'cuda:{index}', text, types))
    if torch.backends.mps.is_available():
        found.append(('mps', 'Metal', []))
    devices = [
        dict(
            name=name,
            description=text,
            mixed_precision=types,
            error=_complaint(partial(add, name)),
        )
        for name, text, types in found
    ]
    return dict(devices=devices, unused_driver=_unused_driver(), cuda=cuda)


def _unused_driver() -> str | None:
    import torch

    hidden = 'CUDA_VISIBLE_DEVICES' in os.environ  # on purpose
    if torch.cuda.is_available() or hidden or not shutil.which('nvidia-smi'):
        return None
    if torch.version.cuda is None:
        return f'torch {torch.__version__} is a build without CUDA'
    return _complaint(torch.cuda.init)


def _complaint(use: Callable[[], Any]) -> str | None:
    """Return the message with which torch refuses, or None."""
    try:
        use()
    except (AssertionError, RuntimeError) as error:
        return one_line(error, 200)
    return None


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
# The function that tries a piece, where importing it would prove too little.
USES: dict[str, Callable[[], Any]] = {
    'torch': _use_torch,
    'torchvision': _use_torchvision,
    # Packages that load their compiled part late.
    'pycocotools': partial(import_module, 'pycocotools.mask'),
    'scipy': partial(import_module, 'scipy.optimize'),
    'matplotlib': partial(import_module, 'matplotlib.pyplot'),
    'mmcv.ops': list_operators,
    'cbnet': _start_cbnet,
    'mmdet::': partial(_inherit, 'mmdet::_base_/default_runtime.py'),
    'cbnet::': partial(_inherit, 'cbnet::cbnet/quickstart.py'),
    'devices': list_devices,
}


def try_piece(name: str) -> Facts:
    """Load a piece; return its facts, or a package's version and file."""
    facts = USES.get(name, partial(import_module, name))()
    if isinstance(facts, dict):
        return facts
    package = sys.modules[name]
    version = getattr(package, '__version__', None)
    return dict(version=version, file=package.__file__)


def run_probes() -> dict[str, Facts]:
    """Try every piece in a process of its own.

    Returns:
        The facts of each piece; or ``error``, the exception as text, and
        ``missing``, the module that was not found, or None.
    """
    results: dict[str, Facts] = {}
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
        for name, facts in found.items():
            dead = dict(error=_cause_of_death(done), missing=None)
            results[name] = dead if facts is None else facts
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
            facts = try_piece(name)
        except Exception as error:
            text = f'{type(error).__name__}: {error}'
            lost = isinstance(error, ModuleNotFoundError)
            facts = dict(error=text, missing=error.name if lost else None)
        channel.write(json.dumps([name, facts]) + '\n')


if __name__ == '__main__':
    main()
