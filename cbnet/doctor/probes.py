"""Load the stack piece by piece, in a process of its own.

A broken piece may raise anything, print anything or end the process.  So the
doctor runs this module as another program, which writes a line of JSON after
each piece.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from importlib import import_module, reload
from pathlib import Path
from typing import NamedTuple

from ..compat.versions import STACK
from .facts import Facts, list_devices, list_operators

REINSTALL = 'pip install --force-reinstall --no-deps {owner.pin}'


def _use_torch() -> None:
    import numpy
    import torch

    torch.from_numpy(numpy.zeros(1))


def _use_torchvision() -> None:
    from torch import zeros
    from torchvision.ops import nms

    nms(zeros(1, 4), zeros(1), 0.5)


def _start_cbnet() -> None:
    del os.environ['CBNET_START']
    try:
        reload(sys.modules['cbnet'])
    except ImportError as error:
        # Without the advice to run the doctor.
        raise (error.__cause__ or error) from None


def _inherit(base: str) -> None:
    """Read a config that inherits from another one."""
    from mmengine.config import Config

    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, 'child.py')
        config.write_text(f'_base_ = {base!r}\n')
        Config.fromfile(config)


class Piece(NamedTuple):
    """A part of the stack that can fail.

    Attributes:
        needs: the pieces without which it fails.
        use: tries it, where importing it would prove too little; the name of
            another module to import, or a function that may return facts.
        what: the fault if it fails, where it is not that of any package.
        repair: the command that repairs this fault.
    """

    needs: str = ''
    use: str | Callable[[], Facts | None] = ''
    what: str = ''
    repair: str = REINSTALL


# One row a check, after those that it needs.  The braces are filled with the
# distributions that are installed; `owner` is that of the piece.
PIECES = {
    'numpy': Piece(),
    'torch': Piece('numpy', _use_torch),
    'torchvision': Piece(
        'torch',
        _use_torchvision,
        '{owner} does not work with torch {torch.version}',
        'pip install --force-reinstall {torch.pin} {owner.pin}',
    ),
    'timm': Piece('torch torchvision'),
    # Packages that load their compiled part late.
    'pycocotools': Piece('numpy', 'pycocotools.mask'),
    'scipy': Piece('numpy', 'scipy.optimize'),
    'matplotlib': Piece('numpy', 'matplotlib.pyplot'),
    'cv2': Piece('numpy'),
    'shapely': Piece('numpy'),
    'faster_coco_eval': Piece('numpy'),
    'hotcoco': Piece('numpy'),
    'mmengine': Piece('torch cv2 matplotlib'),
    'mmcv': Piece('mmengine cv2'),
    'mmcv.ops': Piece(
        'mmcv torch torchvision',
        list_operators,
        'the compiled module of mmcv does not load; it was built for another '
        'torch or CUDA than torch {torch.version}',
        'pip uninstall -y {owner.distribution} && pip install '
        + STACK['mmcv'].install,
    ),
    'mmdet': Piece('mmcv pycocotools scipy shapely matplotlib'),
    'cbnet': Piece(
        ' '.join([*STACK, 'mmcv.ops']), _start_cbnet, 'cbnet does not start'
    ),
    'pkg_resources': Piece(
        what='mmengine resolves config prefixes (mmdet::, cbnet::) with '
        'pkg_resources, which setuptools contains up to version 81; '
        'found {owner}',
        repair="pip install 'setuptools<82'",
    ),
    'mmdet::': Piece(
        'mmdet pkg_resources',
        partial(_inherit, 'mmdet::_base_/default_runtime.py'),
        'configs mmdet:: do not resolve',
    ),
    'cbnet::': Piece(
        'cbnet mmdet::',
        partial(_inherit, 'cbnet::cbnet/quickstart.py'),
        'configs cbnet:: do not resolve',
    ),
    'devices': Piece('torch', list_devices),
}


def try_piece(name: str) -> Facts:
    """Load a piece; return its facts, or a package's version and file."""
    use = PIECES[name].use or name
    facts = use() if callable(use) else import_module(use)
    if isinstance(facts, dict):
        return facts
    package = sys.modules.get(name)
    version = getattr(package, '__version__', None)
    return dict(version=version, file=getattr(package, '__file__', None))


def run_probes() -> dict[str, Facts]:
    """Try every piece, and go on in another process if one ends its own.

    Returns:
        The facts of each piece, or its ``error`` as text.
    """
    results: dict[str, Facts] = {}
    while names := [name for name in PIECES if name not in results]:
        done = subprocess.run(
            [sys.executable, '-m', __name__, *names],
            env={**os.environ, 'CBNET_START': 'no'},
            capture_output=True,
            text=True,
            check=False,
        )
        found = [json.loads(line) for line in done.stdout.splitlines()]
        if len(found) < len(names):
            found.append(dict(error=_cause_of_death(done)))
        results.update(zip(names, found, strict=False))
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
        try:
            facts = try_piece(name)
        except Exception as error:
            facts = dict(error=f'{type(error).__name__}: {error}')
        channel.write(json.dumps(facts) + '\n')


if __name__ == '__main__':
    main()
