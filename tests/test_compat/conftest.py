"""Serve the operators before any test module imports mmcv.ops."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch.distributed as dist

from cbnet.compat import install_ops
from cbnet.compat.ops import SERVED

install_ops()

DATA = Path(__file__).parents[1] / 'data' / 'mmcv_ops.npz'


@pytest.fixture(scope='session')
def golden():
    """Values of mmcv 2.1.0's compiled CPU operators: case -> arrays.

    Boxes, scores and ids are shared by the cases of 60 boxes.
    """
    cases = {}
    with np.load(DATA) as arrays:
        for name in arrays.files:
            case, array = name.split('/')
            cases.setdefault(case, {})[array] = arrays[name]
    return cases


@pytest.fixture
def one_process():
    """A gloo process group that has only this process."""
    dist.init_process_group(
        'gloo', store=dist.HashStore(), rank=0, world_size=1
    )
    yield
    dist.destroy_process_group()


@pytest.fixture
def reached(monkeypatch):
    """A set that fills with the names of the served operators called."""
    ext, names = sys.modules['mmcv._ext'], set()

    def spy(name, function):
        def operator(*args, **kwargs):
            names.add(name)
            return function(*args, **kwargs)

        return operator

    for name, op in SERVED.items():
        monkeypatch.setattr(ext, name, spy(name, op.function))
    return names
