"""What a checkpoint may hold, and what tries to look like it.

1. a message hub with history buffers and numpy values comes back, under
   numpy's names of today and of version 1; a namespace; the functions that
   the one-cycle scheduler saves; values are ordinary ones when saved again;
2. ``builtins.getattr`` resolves HistoryBuffer's statistics and nothing else;
   other code is refused;
3. pickles put together by hand: state that would replace methods, set what
   Python or numpy call, or make numpy follow addresses out of the file;
4. what is refused is described without its repr, which may be endless.
"""

import os
import pickle
from argparse import Namespace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.optim import OneCycleLR
from mmengine.runner import CheckpointLoader

from cbnet.compat.safe_globals import history_statistic
from cbnet.errors import UnsafeCheckpointError

from .smuggling import Smuggled, check_honest, honest, write_pickle


@pytest.mark.parametrize('numpy_1', [False, True])
def test_what_checkpoints_hold_comes_back(tmp_path, numpy_1):
    weights = {'x': torch.arange(3)}
    honest(weights, numpy_1=numpy_1, path=tmp_path / 'run.pth')
    check_honest(torch.load(tmp_path / 'run.pth'), weights)


def test_saved_again_it_is_the_same(tmp_path):
    weights = {'x': torch.arange(3)}
    honest(weights, path=tmp_path / 'run.pth')
    torch.save(torch.load(tmp_path / 'run.pth'), tmp_path / 'again.pth')
    found = torch.load(tmp_path / 'again.pth', weights_only=False)
    check_honest(found, weights)
    assert type(found['meta']['dataset_meta']['palette']) is np.ndarray
    assert b'cbnet' not in (tmp_path / 'again.pth').read_bytes()


def test_the_schedulers_functions(tmp_path):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1)
    for strategy in ('cos', 'linear'):
        scheduler = OneCycleLR(
            optimizer, eta_max=1, total_steps=4, anneal_strategy=strategy
        )
        torch.save(scheduler.state_dict(), tmp_path / 'run.pth')
        found = torch.load(tmp_path / 'run.pth')
        assert found['anneal_func'] is scheduler.anneal_func


@pytest.mark.parametrize(
    'smuggled',
    [
        Smuggled(os.mkdir, 'made_by_a_checkpoint'),
        Smuggled(getattr, HistoryBuffer, '__init__'),
        Smuggled(getattr, HistoryBuffer, '_statistics_methods'),
        Smuggled(getattr, HistoryBuffer, 'register_statistics'),
        Smuggled(getattr, HistoryBuffer.mean, '__globals__'),
        Smuggled(getattr, Smuggled(getattr, HistoryBuffer, 'mean'), 'x'),
        Smuggled(getattr, HistoryBuffer, 'mean', None),
        Smuggled(getattr, HistoryBuffer, 1),
        Smuggled(getattr, np.ndarray, 'tofile'),
        Smuggled(getattr, OneCycleLR.__mro__[2], 'step'),
        Smuggled(HistoryBuffer, [1.0], [1]),
        Smuggled(Namespace, 1),
        Smuggled(np.ndarray, (1,), 'O', b'AAAAAAAA'),
        Smuggled(bytes, 1 << 60),
        Smuggled(eval, '1'),
        np.array([Smuggled(os.mkdir, 'made_by_a_checkpoint')]),
        np.array([None]),
        np.zeros(2, [('x', 'i4')]),
        SimpleNamespace(),
    ],
    ids=lambda given: (
        ' '.join(map(str, given.call))[:60]
        if isinstance(given, Smuggled)
        else type(given).__name__
    ),
)
def test_nothing_else_is_called(tmp_path, monkeypatch, smuggled):
    monkeypatch.chdir(tmp_path)
    torch.save(dict(state_dict={}, meta=smuggled), 'bad.pth')
    with pytest.raises(UnsafeCheckpointError, match='bad.pth: refused'):
        CheckpointLoader.load_checkpoint('bad.pth')
    with pytest.raises(pickle.UnpicklingError):
        torch.load('bad.pth')
    assert not os.path.exists('made_by_a_checkpoint')


def test_getattr_is_never_the_real_one():
    assert history_statistic(HistoryBuffer, 'mean') is HistoryBuffer.mean
    with pytest.raises(pickle.UnpicklingError, match='only the statistics'):
        history_statistic(os, 'system')


# Opcodes: a name, a new object of it, a call, a state, a dict item.
NAMESPACE = b'cargparse\nNamespace\n'
HISTORY = b'cmmengine.logging.history_buffer\nHistoryBuffer\n'
ARRAY = b'cnumpy\nndarray\n'
DTYPE = b'cnumpy\ndtype\n'
RECONSTRUCT = b'cnumpy.core.multiarray\n_reconstruct\n'
SCALAR = b'cnumpy.core.multiarray\nscalar\n'
BYTES = b'cbuiltins\nbytes\n'
GETATTR = b'cbuiltins\ngetattr\n'
NEW, CALL, BUILD, DICT, ITEM, TUPLE, MARK, TWO = (
    b')\x81', b'R', b'b', b'}', b's', b't', b'(', b'\x86',
)  # fmt: skip
EMPTY_ARRAY = (RECONSTRUCT, ARRAY, (0,), 'b', b'\x87', CALL)
INT8 = (DTYPE, ('i1', False, True), CALL, (3, '|', None, None, None), BUILD)
OBJECTS = (DTYPE, ('O', False, True), CALL)
FORGED = (3, '|', None, None, None, -1, -1, 0)


def data(content):
    """Pickle bytes; bare ones are opcodes."""
    return pickle.dumps(content, 2)[2:-1]


def array_state(shape, dtype, content):
    return MARK, 1, shape, *dtype, False, content, TUPLE


@pytest.mark.parametrize(
    'parts',
    {
        'namespace, setstate': (
            *(NAMESPACE, NEW, DICT, '__setstate__', BYTES, ITEM, BUILD),
            *(dict(x=1), BUILD),
        ),
        'namespace, address': (
            *(NAMESPACE, NEW),
            *({'__array_interface__': dict(data=(1, False))}, BUILD),
        ),
        'namespace, twice': (NAMESPACE, NEW, {'x': 1}, BUILD, {'y': 1}, BUILD),
        'namespace, no names': (NAMESPACE, NEW, {1: 1}, BUILD),
        'namespace, slots': (NAMESPACE, NEW, (None, {'x': 1}), BUILD),
        'history, method': (
            *(HISTORY, NEW, DICT, '_set_default_statistics', BYTES, ITEM),
            BUILD,
        ),
        'history, statistic': (
            *(HISTORY, NEW, DICT, 'statistics_methods'),
            *(DICT, 'mean', BYTES, ITEM, ITEM, BUILD),
        ),
        'history, no arrays': (
            *(HISTORY, NEW),
            dict(max_length=1, _log_history=[1.0], _count_history=[1]),
            BUILD,
        ),
        'array, new': (ARRAY, ((1,), 'O'), b'\x81'),
        'array of another class': (
            *(RECONSTRUCT, HISTORY, (0,), 'b', b'\x87', CALL),
        ),
        'array, short': (
            *(*EMPTY_ARRAY, *array_state((9,), INT8, data(b'1234')), BUILD),
        ),
        'array, negative': (
            *(
                *EMPTY_ARRAY,
                *array_state((-1, -4), INT8, data(b'1234')),
                BUILD,
            ),
        ),
        'array, list': (
            *(*EMPTY_ARRAY, *array_state((1000,), OBJECTS, [1]), BUILD),
        ),
        'array, forged dtype': (
            *EMPTY_ARRAY,
            *array_state((1,), (*OBJECTS, FORGED, BUILD), data(b'AAAAAAAA')),
            BUILD,
        ),
        'array, twice': (
            *(*EMPTY_ARRAY, *array_state((4,), INT8, data(b'1234')), BUILD),
            *(*array_state((2,), INT8, data(b'12')), BUILD),
        ),
        'dtype, fields': (
            *(*INT8, (3, '|', None, ('a',), dict(a=1), 8, 1, 0), BUILD),
        ),
        'dtype, not a name': (DTYPE, ([('a', 'O')],), CALL),
        'scalar, short': (SCALAR, *INT8, data(b'12'), TWO, CALL),
        'scalar, address': (SCALAR, *OBJECTS, data(b'AAAAAAAA'), TWO, CALL),
    }.items(),
    ids=lambda item: item[0],
)
def test_forged_state_is_refused(tmp_path, parts):
    before = dict(HistoryBuffer._statistics_methods)
    write_pickle(tmp_path / 'bad.pth', *parts[1])
    with pytest.raises(UnsafeCheckpointError, match='bad.pth: refused'):
        CheckpointLoader.load_checkpoint(str(tmp_path / 'bad.pth'))
    assert HistoryBuffer._statistics_methods == before


def shared_tuples(depth):
    """Nested tuples: a few bytes each in a pickle, 2 ** depth in a repr."""
    nested = ()
    for _ in range(depth):
        nested = (nested, nested)
    return nested


VAST = shared_tuples(20)


@pytest.mark.parametrize(
    'parts',
    {
        'attribute': (GETATTR, HISTORY, VAST, TWO, CALL),
        'long attribute': (GETATTR, HISTORY, 'x' * 10**6, TWO, CALL),
        'owner': (GETATTR, VAST, 'mean', TWO, CALL),
        'dtype': (DTYPE, (VAST, False, True), CALL),
        'dtype, state': (DTYPE, ('i1', False, True), CALL, VAST, BUILD),
        'array, shape': (
            *(*EMPTY_ARRAY, *array_state(VAST, INT8, data(b'1')), BUILD),
        ),
        'array, state': (*EMPTY_ARRAY, VAST, BUILD),
        'history, state': (HISTORY, NEW, {'max_length': VAST}, BUILD),
        'history, methods': (
            *(HISTORY, NEW, {'statistics_methods': {'x': VAST}}, BUILD),
        ),
        'namespace, state': (NAMESPACE, NEW, VAST, BUILD),
        'bytes': (BYTES, (VAST,), CALL),
    }.items(),
    ids=lambda item: item[0],
)
def test_the_refusal_of_vast_data_is_short(tmp_path, parts):
    path = tmp_path / 'bad.pth'
    write_pickle(path, *parts[1])
    with pytest.raises(UnsafeCheckpointError, match='bad.pth: refused') as bad:
        CheckpointLoader.load_checkpoint(str(path))
    assert len(str(bad.value)) < 1000


def test_the_forged_parts_are_well_formed(tmp_path):
    """The same parts, honest: only what is forged is refused above."""
    path = tmp_path / 'good.pth'
    state = array_state((4,), INT8, data(b'1234'))
    write_pickle(path, *EMPTY_ARRAY, *state, BUILD)
    assert bytes(torch.load(path)) == b'1234'
    write_pickle(path, NAMESPACE, NEW, {'x': 1}, BUILD)
    assert torch.load(path) == Namespace(x=1)
    write_pickle(path, SCALAR, *INT8, data(b'1'), TWO, CALL)
    assert torch.load(path) == ord('1')
