"""Keep what a detector remembers as it is while an assistant's pass runs.

Some heads have a memory: they keep histories, counts or running statistics,
and change their settings with them.  Only the lead may move it.
"""

import logging
import random
from collections import OrderedDict, deque
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from enum import Enum
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from mmengine.utils import ManagerMixin
from torch import Tensor, nn

#: the buffers that norms move
STATISTICS = frozenset({'running_mean', 'running_var', 'num_batches_tracked'})

# Parameters are not moved by a forward pass, and hooks belong to others.
_NOT_KEPT = vars(nn.Module()).keys() - {'_buffers', '_modules', 'training'}
_FIXED = (str, bytes, int, float, Enum, type, type(None))
# They belong to the process, not to the detector.
_FOREIGN = (
    BuiltinFunctionType,
    FunctionType,
    MethodType,
    ModuleType,
    ManagerMixin,
    logging.Logger,
)


@contextmanager
def kept_memory(
    detector: nn.Module, besides: Container[str] = ()
) -> Iterator[None]:
    """Take back what the block changes in a detector, but in its backbone.

    That is: buffers, the attributes of modules and of the objects in them
    (assigners, samplers, lists, dicts, ...), and the random numbers of torch,
    numpy and Python.  Parameters are not looked at.

    The block works on copies of the tensors, because autograd refuses a
    backward pass through tensors that were written to after their use.

    Args:
        detector: the detector.
        besides: the names of buffers and attributes that the block may move.
    """
    memory = _Memory(besides)
    python, numpy = random.getstate(), np.random.get_state()
    # Without CUDA there is no second generator.
    cuda = torch.cuda.is_initialized()
    devices = [torch.cuda.current_device()] if cuda else []
    with torch.random.fork_rng(devices):
        try:
            memory.lend(detector, detector.backbone)
            yield
        finally:
            memory.take_back()
            random.setstate(python)
            np.random.set_state(numpy)


class _Memory:
    """All that can be reached from a detector, as it was.

    Args:
        besides: the names of entries that are not kept.
    """

    def __init__(self, besides: Container[str]) -> None:
        self._besides = besides
        # By id: an object, which stays alive, and what stands for it.
        self._lent: dict[int, tuple[Any, Any]] = {}
        self._waiting: list[Any] = []
        self._undo: list[Callable[[], None]] = []

    def lend(self, root: nn.Module, left_out: nn.Module) -> None:
        """Note what a module holds, and put copies of its tensors there."""
        self._lent[id(left_out)] = left_out, left_out
        self._stand_in(root)
        while self._waiting:
            self._look_into(self._waiting.pop())

    def take_back(self) -> None:
        """Put everything back where it was."""
        for undo in self._undo:
            undo()

    def _look_into(self, holder: Any) -> None:
        if isinstance(holder, dict):
            self._lend_items(holder, self._besides)
        elif isinstance(holder, list | deque):
            before = list(holder)
            self._undo.append(partial(_refill, holder, before))
            for i, value in enumerate(before):
                lent = self._stand_in(value)
                if lent is not value:
                    holder[i] = lent
        elif isinstance(holder, set):
            self._undo.append(partial(_refill, holder, set(holder)))
        elif isinstance(holder, torch.Generator | np.random.RandomState):
            self._undo.append(partial(holder.set_state, holder.get_state()))
        elif isinstance(holder, np.random.Generator):
            bits = holder.bit_generator
            self._undo.append(partial(setattr, bits, 'state', bits.state))
        elif isinstance(holder, random.Random):
            self._undo.append(partial(holder.setstate, holder.getstate()))
        if type(holder).__dictoffset__:  # it has attributes
            module = isinstance(holder, nn.Module)
            left_out = _NOT_KEPT.union(self._besides) if module else ()
            self._lend_items(vars(holder), left_out)

    def _lend_items(self, holder: dict, left_out: Container[str]) -> None:
        before = {
            name: value
            for name, value in _plain(holder).items(holder)
            if name not in left_out
        }
        self._undo.append(partial(_refill_dict, holder, before, left_out))
        for name, value in before.items():
            lent = self._stand_in(value)
            if lent is not value:
                dict.__setitem__(holder, name, lent)

    def _stand_in(self, value: Any) -> Any:
        """Return what stands for a value in the block."""
        if isinstance(value, _FIXED) or isinstance(value, _FOREIGN):
            return value
        if id(value) not in self._lent:
            self._lent[id(value)] = value, value  # it may hold itself
            self._lent[id(value)] = value, self._new_stand_in(value)
        return self._lent[id(value)][1]

    def _new_stand_in(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            # What is in the lead's graph cannot be written to.
            given = value.requires_grad or isinstance(value, nn.Parameter)
            return value if given else value.clone()
        if type(value) is np.ndarray:
            return value.copy()
        if not isinstance(value, tuple):
            self._waiting.append(value)
            return value
        items = [self._stand_in(item) for item in value]
        if all(a is b for a, b in zip(items, value, strict=True)):
            return value
        return getattr(value, '_make', type(value))(items)


def _refill(holder: Any, before: Any) -> None:
    """Fill a list, deque or set again."""
    holder.clear()
    (holder.update if isinstance(holder, set) else holder.extend)(before)


def _refill_dict(
    holder: dict, before: dict[str, Any], left_out: Container[str]
) -> None:
    """Fill a dict again, in its order."""
    kind = _plain(holder)
    found = [name for name in kind.keys(holder) if name not in left_out]
    if found != list(before):
        for name in found:
            kind.__delitem__(holder, name)
    for name, value in before.items():
        kind.__setitem__(holder, name, value)


def _plain(holder: dict) -> type[dict]:
    """Return the class whose methods do nothing but read and write."""
    return OrderedDict if isinstance(holder, OrderedDict) else dict
