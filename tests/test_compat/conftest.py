"""Serve the operators before any test module imports mmcv.ops."""

from pathlib import Path

import numpy as np
import pytest

from cbnet.compat import install_ops

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
