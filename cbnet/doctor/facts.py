"""Facts that only a running stack knows: mmcv's operators, the devices."""

import os
import re
import shutil
from collections.abc import Callable
from importlib import import_module, util
from pathlib import Path
from typing import Any

from ..compat import install_ops, served_ops
from ..messages import one_line

Facts = dict[str, Any]


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
    (folder,) = util.find_spec('mmcv').submodule_search_locations
    files = Path(folder, 'ops').glob('*.py')
    code = ''.join(file.read_text(encoding='utf-8') for file in files)
    asked = re.findall(r"load_ext\(\s*'_ext',\s*\[(.*?)\]", code, re.S)
    names = sorted(set(re.findall(r"'(\w+)'", ''.join(asked))))
    return dict(
        sources={name: found.get(name, 'not served') for name in names}
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

    devices: list[Facts] = []
    cuda = torch.version.cuda

    def add(name: str, description: str, *types: str) -> None:
        error = _complaint(lambda: torch.ones(2, device=name).sum().item())
        facts = dict(name=name, description=description, error=error)
        devices.append(dict(facts, mixed_precision=list(types)))

    threads = torch.get_num_threads()
    add('cpu', f'{os.cpu_count()} cores, torch uses {threads}', 'bfloat16')
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for index in range(count):
        gpu = torch.cuda.get_device_properties(index)
        text = (
            f'{gpu.name}, {gpu.total_memory / 2**30:.0f} GiB, capability '
            f'{gpu.major}.{gpu.minor}, CUDA {cuda}'
        )
        # GPUs before capability 8 emulate bfloat16.
        types = ['float16', 'bfloat16'][: 1 + (gpu.major >= 8)]
        add(f'cuda:{index}', text, *types)
    if torch.backends.mps.is_available():
        add('mps', 'Metal')
    driver = None
    hidden = 'CUDA_VISIBLE_DEVICES' in os.environ  # on purpose
    if not count and not hidden and shutil.which('nvidia-smi'):
        driver = f'torch {torch.__version__} is a build without CUDA'
        driver = _complaint(torch.cuda.init) if cuda else driver
    return dict(devices=devices, unused_driver=driver, cuda=cuda)


def _complaint(use: Callable[[], Any]) -> str | None:
    """Return the message with which torch refuses, or None."""
    try:
        use()
    except (AssertionError, RuntimeError) as error:
        return one_line(error, 200)
    return None
