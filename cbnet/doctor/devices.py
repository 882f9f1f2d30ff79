"""The devices that torch finds, whether they compute, and how precisely."""

import os
import shutil
from typing import Any

import torch

from ..messages import one_line


def describe_devices() -> dict[str, Any]:
    """List the CPU and every accelerator.

    Returns:
        ``devices``, one dict each: ``name`` as torch takes it,
        ``description``, ``mixed_precision`` (the types of ``--amp``, the
        default first) and ``error``, the message with which a small sum
        failed, or None; ``unused_driver``, why torch uses no NVIDIA GPU
        although there is a driver, or None; ``cuda``, torch's CUDA version.
    """
    threads = torch.get_num_threads()
    cpu = f'{os.cpu_count()} cores, torch uses {threads}'
    devices = [_describe('cpu', cpu, 'bfloat16')]
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            gpu = torch.cuda.get_device_properties(index)
            text = (
                f'{gpu.name}, {gpu.total_memory / 2**30:.0f} GiB, capability '
                f'{gpu.major}.{gpu.minor}, CUDA {torch.version.cuda}'
            )
            # GPUs before capability 8 emulate bfloat16.
            types = ['float16', 'bfloat16'][: 1 + (gpu.major >= 8)]
            devices.append(_describe(f'cuda:{index}', text, *types))
    if torch.backends.mps.is_available():
        devices.append(_describe('mps', 'Metal'))
    return dict(
        devices=devices,
        unused_driver=_unused_driver(),
        cuda=torch.version.cuda,
    )


def _unused_driver() -> str | None:
    hidden = 'CUDA_VISIBLE_DEVICES' in os.environ  # on purpose
    if torch.cuda.is_available() or hidden or not shutil.which('nvidia-smi'):
        return None
    if torch.version.cuda is None:
        return f'torch {torch.__version__} is a build without CUDA'
    try:
        torch.cuda.init()
    except (AssertionError, RuntimeError) as error:
        return one_line(error, 200)
    return None


def _describe(name: str, description: str, *types: str) -> dict[str, Any]:
    found = dict(name=name, description=description, error=None)
    try:
        torch.ones(2, device=name).sum().item()
    except RuntimeError as error:
        found['error'] = one_line(error, 200)
    return dict(found, mixed_precision=list(types))
