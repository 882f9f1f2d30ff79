"""The devices that torch finds, whether they compute, and how precisely."""

import os
import shutil
from typing import Any

import torch


def list_devices() -> list[dict[str, Any]]:
    """Describe the CPU and every accelerator.

    Returns:
        One dict a device: ``name`` as torch takes it, ``description``,
        ``mixed_precision`` (types of ``--amp``, the one it takes first) and
        ``error``, what went wrong with a small sum, or None.
    """
    devices = [
        _describe(
            'cpu',
            f'{os.cpu_count()} cores, torch uses {torch.get_num_threads()}',
            ['bfloat16'],
        )
    ]
    if torch.cuda.is_available():
        devices += map(_describe_cuda, range(torch.cuda.device_count()))
    if torch.backends.mps.is_available():
        devices.append(_describe('mps', 'Metal', []))
    return devices


def unused_driver() -> str | None:
    """Say why torch uses no NVIDIA GPU although there is a driver for one."""
    if torch.cuda.is_available() or not shutil.which('nvidia-smi'):
        return None
    if 'CUDA_VISIBLE_DEVICES' in os.environ:
        return None  # hidden on purpose
    if torch.version.cuda is None:
        return f'torch {torch.__version__} is a build without CUDA'
    try:
        torch.cuda.init()
    except (AssertionError, RuntimeError) as error:
        return str(error).strip().splitlines()[0]
    return None


def _describe_cuda(index: int) -> dict[str, Any]:
    device = torch.cuda.get_device_properties(index)
    types = ['float16']
    if device.major >= 8:  # before, bfloat16 is emulated
        types.append('bfloat16')
    return _describe(
        f'cuda:{index}',
        f'{device.name}, {device.total_memory / 2**30:.0f} GiB, '
        f'capability {device.major}.{device.minor}, '
        f'CUDA {torch.version.cuda}',
        types,
    )


def _describe(name: str, description: str, types: list[str]) -> dict[str, Any]:
    error = None
    try:
        torch.ones(2, device=name).sum().item()
    except RuntimeError as raised:
        error = str(raised).strip().splitlines()[0]
    return dict(
        name=name,
        description=description,
        mixed_precision=types,
        error=error,
    )
