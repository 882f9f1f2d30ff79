"""Let torch's safe loading read the checkpoints that mmengine writes.

mmengine 0.10.7 puts its message hub into every checkpoint: numpy scalars and
arrays inside ``HistoryBuffer`` objects, whose statistics are pickled as
``builtins.getattr(HistoryBuffer, 'mean')``.  torch >= 2.6 loads with
``weights_only=True`` and refuses these names, so resuming fails.  Each name
is served by a stand-in that takes only data, never by the object it names:
the real ones would set any attribute, or call what an attribute holds.

Other packages put objects on torch's list of safe names, too; a fork of
mmengine puts the real ``getattr`` there.  torch keeps that list as a set, so
which of two objects answers to a name would change from process to process.
Therefore the stand-ins come first, and while cbnet loads a checkpoint the
rest of the list does not count.
"""

from argparse import Namespace
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.optim import OneCycleParamScheduler

from .safe_numpy import CheckpointArray, describe, numpy_globals, require

_STATISTICS = ('min', 'max', 'current', 'mean')
_HISTORY = ('max_length', '_log_history', '_count_history')
_ANNEALING = ('_annealing_cos', '_annealing_linear')


class CheckpointHistory(HistoryBuffer):
    """Stands in for ``HistoryBuffer``, and becomes one.

    mmengine's own ``__setstate__`` would replace the statistics of every
    buffer of the process with those in the file.
    """

    def __init__(self, *args: Any) -> None:
        raise UnpicklingError('HistoryBuffer is called with arguments')

    def __setstate__(self, state: Any) -> None:
        """Take two arrays of numbers and a length."""
        state = dict(state) if type(state) is dict else {}
        methods = state.pop('statistics_methods', {})
        require(
            type(methods) is dict
            and all(
                name in _STATISTICS and method is vars(HistoryBuffer)[name]
                for name, method in methods.items()
            ),
            'HistoryBuffer: unknown methods',
        )
        require(
            sorted(state) == sorted(_HISTORY)
            and type(state['max_length']) is int
            and _is_numbers(state['_log_history'])
            and _is_numbers(state['_count_history']),
            'HistoryBuffer: unknown state',
        )
        self.__class__ = HistoryBuffer  # a second state is refused
        self._set_default_statistics()
        self.max_length = state['max_length']
        self._log_history = np.array(state['_log_history'])
        self._count_history = np.array(state['_count_history'])


def _is_numbers(value: Any) -> bool:
    return (
        type(value) is CheckpointArray
        and value.ndim == 1
        and value.dtype.kind in 'biuf'
    )


class CheckpointNamespace(Namespace):
    """Stands in for ``argparse.Namespace``, and becomes one."""

    def __init__(self, *args: Any) -> None:
        require(not args, 'argparse.Namespace is called')

    def __setstate__(self, state: Any) -> None:
        """Take attributes, but none that Python or numpy would call."""
        require(
            type(state) is dict
            and all(
                type(name) is str and not name.startswith('__')
                for name in state
            ),
            'argparse.Namespace: unknown state, or attributes that begin with '
            'two underscores',
        )
        self.__class__ = Namespace  # a second state is refused
        vars(self).update(state)


def one_cycle(*args: Any) -> None:
    """Stand in for ``OneCycleParamScheduler``, and refuse to make one."""
    raise UnpicklingError('OneCycleParamScheduler is called')


def history_statistic(owner: Any, name: Any) -> Any:
    """Stand in for ``builtins.getattr`` inside checkpoints.

    Args:
        owner: the class, ``HistoryBuffer`` or the stand-in ``one_cycle`` for
            the only scheduler that saves a function.
        name: the attribute, a statistic of the first or an annealing of the
            second; every other one is refused.
    """
    if type(name) is str:
        is_history = owner is HistoryBuffer or owner is CheckpointHistory
        if is_history and name in _STATISTICS:
            return getattr(HistoryBuffer, name)
        if owner is one_cycle and name in _ANNEALING:
            return getattr(OneCycleParamScheduler, name)
    raise UnpicklingError(
        f'the checkpoint asks for the attribute {describe(name)} of '
        f'{describe(owner)}; only the statistics {_STATISTICS} of '
        f'HistoryBuffer are allowed'
    )


def _getattr(*args: Any) -> Any:
    require(len(args) == 2, 'getattr takes an owner and a name')
    return history_statistic(*args)


def empty_bytes(*args: Any) -> bytes:
    """Stand in for ``bytes``, which pickle calls only for empty ones."""
    require(not args, 'bytes is called with arguments')
    return b''


def _path(kind: type) -> str:
    return f'{kind.__module__}.{kind.__qualname__}'


# The name in a pickle, and what answers to it.
STAND_INS: dict[str, Any] = {
    _path(HistoryBuffer): CheckpointHistory,
    'argparse.Namespace': CheckpointNamespace,
    _path(OneCycleParamScheduler): one_cycle,
    'builtins.getattr': _getattr,
    'builtins.bytes': empty_bytes,
    # The configs that Microsoft's training code saves.  The real class gets
    # no instance; torch itself fills an OrderedDict.
    'yacs.config.CfgNode': OrderedDict,
    **numpy_globals(),
}
_alone: ContextVar[bool] = ContextVar('stand_ins_alone', default=False)


@contextmanager
def only_stand_ins() -> Iterator[None]:
    """Ignore in this thread what others have put on torch's list."""
    token = _alone.set(True)
    try:
        yield
    finally:
        _alone.reset(token)


def allow_checkpoint_globals() -> None:
    """Let torch's safe loading read what mmengine's checkpoints hold, once.

    torch's public functions only add to its set, in which names may collide;
    the function that turns the set into names is therefore wrapped.

    Raises:
        ImportError: if torch does not have that function.
    """
    unpickler = torch._weights_only_unpickler
    names = getattr(unpickler, '_get_user_allowed_globals', None)
    if names is None:
        raise ImportError(
            'torch changed: _get_user_allowed_globals is no longer there, so '
            'cbnet cannot make the loading of checkpoints safe; run: pip '
            "install 'torch==2.15.0' 'torchvision==0.29.2'"
        )
    if hasattr(names, 'cbnet'):
        return

    def allowed() -> dict[str, Any]:
        return STAND_INS if _alone.get() else {**names(), **STAND_INS}

    allowed.cbnet = True
    unpickler._get_user_allowed_globals = allowed
