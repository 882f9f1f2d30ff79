"""What other packages put on torch's list of safe names changes nothing.

A fork of mmengine puts the real ``getattr`` and numpy's own functions there,
timm the real ``Namespace``.  torch keeps a set, whose order changes from
process to process: here a list stands for it, in several orders.

1. under our names only the stand-ins answer: forged files are refused and
   honest ones come back, from every loader, also from ``torch.load`` itself;
2. under other names, too, cbnet's loaders read only data, while other loads,
   also at the same time in another thread, keep what they have allowed;
3. the fork's own loader is replaced; another torch is refused.
"""

import inspect
import pickle
import random
import threading
from argparse import Namespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader, checkpoint
from torch import _weights_only_unpickler as unpickler

from cbnet.compat import safe_globals, safe_loading
from cbnet.compat.safe_globals import only_stand_ins
from cbnet.compat.safe_loading import load_safely
from cbnet.errors import UnsafeCheckpointError

from .smuggling import Smuggled, check_honest, honest, write_pickle

REAL = [
    getattr,
    bytes,
    np.ndarray,
    np.dtype,
    type(np.dtype(np.float64)),
    np._core.multiarray._reconstruct,
    np._core.multiarray.scalar,
    (np._core.multiarray._reconstruct, 'numpy.core.multiarray._reconstruct'),
    (np._core.multiarray.scalar, 'numpy.core.multiarray.scalar'),
    HistoryBuffer,
    Namespace,
]
ORDERS = {
    'others first': lambda ours: [*REAL, *ours],
    'others last': lambda ours: [*ours, *REAL],
    **{
        f'mixed {seed}': lambda ours, seed=seed: random.Random(seed).sample(
            [*ours, *REAL], len(ours) + len(REAL)
        )
        for seed in range(3)
    },
}
LOADERS = {
    'all schemes': lambda path: CheckpointLoader.load_checkpoint(path, 'cpu'),
    'one scheme': lambda path: checkpoint.load_from_local(path, 'cpu'),
    'cbnet': load_safely,
    'torch': lambda path: torch.load(path, weights_only=True),
}
GETATTR = b'cbuiltins\ngetattr\n'
HISTORY = b'cmmengine.logging.history_buffer\nHistoryBuffer\n'
FORGED = {
    'getattr': (GETATTR, HISTORY, '__init__', b'\x86R'),
    'history': (HISTORY, b')\x81', {'_set_default_statistics': 1}, b'b'),
    'bytes': (b'cbuiltins\nbytes\n', (8,), b'R'),
    'namespace': (b'cargparse\nNamespace\n)\x81', {'__x__': 1}, b'b'),
    'array': (b'cnumpy\nndarray\n', ((1,), 'O'), b'R'),
}


@pytest.fixture(params=ORDERS)
def polluted(request, monkeypatch):
    names = ORDERS[request.param](torch.serialization.get_safe_globals())
    monkeypatch.setattr(unpickler, '_marked_safe_globals_set', names)


@pytest.mark.usefixtures('polluted')
@pytest.mark.parametrize('loader', LOADERS)
def test_the_stand_ins_always_answer(tmp_path, loader):
    path = str(tmp_path / 'net.pth')
    for name, parts in FORGED.items():
        write_pickle(path, *parts)
        with pytest.raises(pickle.UnpicklingError):
            pytest.fail(f'{name}: {LOADERS[loader](path)!r:.80}')
    weights = {'x': torch.arange(3)}
    for numpy_1 in (False, True):
        honest(weights, numpy_1=numpy_1, path=path)
        check_honest(LOADERS[loader](path), weights)


@pytest.fixture
def allowed(tmp_path):
    """A file that makes a folder, with torch's consent."""
    path = str(tmp_path / 'net.pth')
    torch.save(Smuggled(complex_of, 'made'), path)
    with torch.serialization.safe_globals([complex_of]):
        yield path


def complex_of(name):
    """Stand for a function of another package."""
    return f'{name} by another package'


@pytest.mark.parametrize('loader', [k for k in LOADERS if k != 'torch'])
def test_only_data_whatever_others_allow(allowed, loader):
    assert LOADERS['torch'](allowed) == 'made by another package'
    with pytest.raises(UnsafeCheckpointError, match='net.pth.*complex_of'):
        LOADERS[loader](allowed)
    assert LOADERS['torch'](allowed) == 'made by another package'


def test_other_threads_keep_what_they_allow(allowed):
    found = []
    thread = threading.Thread(
        target=lambda: found.append(torch.load(allowed, weights_only=True))
    )
    with only_stand_ins():
        thread.start()
        thread.join()
        with pytest.raises(pickle.UnpicklingError, match='complex_of'):
            torch.load(allowed, weights_only=True)
    assert found == ['made by another package']


def test_the_forks_loader_is_replaced(monkeypatch, tmp_path):
    """It would call torch itself, and load unsafely after a refusal."""
    original = inspect.unwrap(CheckpointLoader.load_checkpoint.__func__)
    monkeypatch.setattr(
        CheckpointLoader, 'load_checkpoint', classmethod(original)
    )
    for owner, name in (
        (checkpoint, 'load_url'),
        (checkpoint, 'torch'),
        (Config, 'fromstring'),
    ):
        monkeypatch.setattr(owner, name, inspect.getattr_static(owner, name))
    monkeypatch.setattr(checkpoint, '_safe_torch_load', None, raising=False)
    safe_loading.keep_loading_safe()
    write_pickle(tmp_path / 'net.pth', *FORGED['getattr'])
    with pytest.raises(UnsafeCheckpointError, match='net.pth: refused'):
        checkpoint._safe_torch_load(tmp_path / 'net.pth', weights_only=False)


def test_another_torch_is_refused(monkeypatch):
    monkeypatch.delattr(unpickler, '_get_user_allowed_globals')
    with pytest.raises(ImportError, match='torch changed.*pip install'):
        safe_globals.allow_checkpoint_globals()


def test_once():
    names = unpickler._get_user_allowed_globals
    safe_globals.allow_checkpoint_globals()
    assert unpickler._get_user_allowed_globals is names
