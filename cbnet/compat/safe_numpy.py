"""Read numpy's scalars and arrays of a checkpoint as plain data.

numpy's own functions trust their input: a forged dtype, or a list shorter
than its array, makes them follow addresses that the file gives.  The
stand-ins here take only numbers and strings, and check every length.
"""

import math
import re
from pickle import UnpicklingError
from typing import Any

import numpy as np

# Numbers and strings; never 'O' (addresses) or 'V' (records, with fields).
_NAME = re.compile(r'[?bhilqBHILQefdgFDG]|[biufcSU]\d{1,9}')


class CheckpointDtype:
    """Stands in for ``numpy.dtype``; its ``dtype`` is the real one.

    Args:
        name: the kind and the number of bytes, such as ``'f8'``.
        flags: numpy's ``align`` and ``copy``, ignored.

    Raises:
        pickle.UnpicklingError: the name is not a type of numbers or strings.
    """

    def __init__(self, name: Any = None, *flags: Any) -> None:
        if type(name) is not str or not _NAME.fullmatch(name):
            raise UnpicklingError(
                f'numpy.dtype({name!r}): only numbers and strings are allowed'
            )
        try:
            self.dtype = np.dtype(name)
        except TypeError as error:
            raise UnpicklingError(f'numpy.dtype({name!r}): {error}') from None

    def __setstate__(self, state: Any) -> None:
        """Take the byte order; refuse fields and shapes."""
        if (
            type(state) is not tuple
            or len(state) < 5
            or state[1] not in ('<', '>', '|', '=')
            or state[2:5] != (None, None, None)
        ):
            raise UnpicklingError(f'numpy.dtype: unknown state {state!r}')
        self.dtype = self.dtype.newbyteorder(state[1])

    def __reduce__(self) -> Any:
        """Pickle and copy as the real one."""
        return self.dtype.__reduce__()


class CheckpointArray(np.ndarray):
    """Stands in for ``numpy.ndarray``: an array that checks its state."""

    def __new__(cls, *args: Any) -> 'CheckpointArray':
        """Refuse every call: only ``_reconstruct`` makes arrays."""
        raise UnpicklingError('numpy.ndarray is called with arguments')

    def __setstate__(self, state: Any) -> None:
        """Take shape, dtype and bytes once, if they agree."""
        if type(state) is not tuple or len(state) != 5 or self.size:
            raise UnpicklingError('numpy.ndarray: unknown state')
        _, shape, dtype, fortran, data = state
        if (
            type(shape) is not tuple
            or not all(type(n) is int and n >= 0 for n in shape)
            or type(dtype) is not CheckpointDtype
            or type(data) is not bytes
            or len(data) != math.prod(shape) * dtype.dtype.itemsize
        ):
            raise UnpicklingError(
                f'numpy.ndarray: shape {shape!r} and data do not agree, or it '
                f'holds something other than numbers and strings'
            )
        try:
            super().__setstate__((1, shape, dtype.dtype, bool(fortran), data))
        except (MemoryError, TypeError, ValueError) as error:
            raise UnpicklingError(f'numpy.ndarray: {error}') from None

    def __reduce__(self) -> Any:
        """Pickle as an ordinary array."""
        return np.asarray(self).__reduce__()


def reconstruct(*args: Any) -> CheckpointArray:
    """Stand in for ``numpy.core.multiarray._reconstruct``."""
    if not args or args[0] is not CheckpointArray:
        raise UnpicklingError('_reconstruct makes only numpy.ndarray')
    return np.ndarray.__new__(CheckpointArray, (0,), 'i1')


def scalar(*args: Any) -> Any:
    """Stand in for ``numpy.core.multiarray.scalar``.

    Args:
        args: a ``CheckpointDtype`` and the value's bytes.

    Raises:
        pickle.UnpicklingError: the two do not agree.
    """
    if (
        len(args) != 2
        or type(args[0]) is not CheckpointDtype
        or type(args[1]) is not bytes
        or len(args[1]) != args[0].dtype.itemsize
    ):
        raise UnpicklingError('numpy scalar: dtype and data do not agree')
    dtype, data = args[0].dtype, args[1]
    return np.frombuffer(data, dtype)[0] if data else dtype.type()


def numpy_globals() -> list[tuple[Any, str]]:
    """List the stand-ins with the names that they stand in for.

    numpy 2 writes ``numpy._core``; files written with numpy 1, such as
    mmdet's published ones, contain ``numpy.core``.
    """
    allowed = [
        (CheckpointArray, 'numpy.ndarray'),
        (CheckpointDtype, 'numpy.dtype'),
    ]
    for module in ('numpy._core.multiarray', 'numpy.core.multiarray'):
        allowed += [
            (reconstruct, f'{module}._reconstruct'),
            (scalar, f'{module}.scalar'),
        ]
    return allowed
