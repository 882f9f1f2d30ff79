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
import torch

# Numbers and strings; never 'O' (addresses) or 'V' (records, with fields).
_NAME = re.compile(r'[?bhilqBHILQefdgFDG]|[biufcSU]\d{1,9}')


def require(allowed: bool, complaint: str) -> None:
    """Refuse a checkpoint with a complaint unless something is allowed."""
    if not allowed:
        raise UnpicklingError(complaint)


def describe(value: Any) -> str:
    """Describe data of a file without its ``repr``.

    Tuples that share tuples take a few bytes in a pickle, but their ``repr``
    may have any length.
    """
    if type(value) is str:
        return repr(value[:60])
    return f'an object of type {type(value).__name__}'


class CheckpointDtype:
    """Stands in for ``numpy.dtype``; its ``dtype`` is the real one.

    Args:
        name: the kind and the number of bytes, such as ``'f8'``.
        flags: numpy's ``align`` and ``copy``, ignored.
    """

    def __init__(self, name: Any = None, *flags: Any) -> None:
        require(
            type(name) is str and bool(_NAME.fullmatch(name)),
            f'numpy.dtype of {describe(name)}: only numbers and strings are '
            f'allowed',
        )
        try:
            self.dtype = np.dtype(name)
        except TypeError as error:
            raise UnpicklingError(f'numpy.dtype: {error}') from None

    def __setstate__(self, state: Any) -> None:
        """Take the byte order; refuse fields and shapes."""
        require(
            type(state) is tuple
            and len(state) >= 5
            and state[1] in ('<', '>', '|', '=')
            and state[2:5] == (None, None, None),
            'numpy.dtype: unknown state',
        )
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
        require(
            type(state) is tuple and len(state) == 5 and not self.size,
            'numpy.ndarray: unknown state',
        )
        _, shape, dtype, fortran, data = state
        require(
            type(shape) is tuple
            and all(type(n) is int and n >= 0 for n in shape)
            and type(dtype) is CheckpointDtype
            and type(data) is bytes
            and len(data) == math.prod(shape) * dtype.dtype.itemsize
            # Any number of empty texts takes no bytes.
            and len(data) >= math.prod(shape),
            'numpy.ndarray: shape and data do not agree, or it holds '
            'something other than numbers and strings',
        )
        try:
            super().__setstate__((1, shape, dtype.dtype, bool(fortran), data))
        except (MemoryError, TypeError, ValueError) as error:
            raise UnpicklingError(f'numpy.ndarray: {error}') from None

    def __reduce__(self) -> Any:
        """Pickle as an ordinary array."""
        return np.asarray(self).__reduce__()


def reconstruct(*args: Any) -> CheckpointArray:
    """Stand in for ``_reconstruct``; make an empty array."""
    require(
        bool(args) and args[0] is CheckpointArray,
        '_reconstruct makes only numpy.ndarray',
    )
    return np.ndarray.__new__(CheckpointArray, (0,), 'i1')


def scalar(*args: Any) -> Any:
    """Stand in for ``scalar``; take a ``CheckpointDtype`` and its bytes."""
    require(
        len(args) == 2
        and type(args[0]) is CheckpointDtype
        and type(args[1]) is bytes
        and len(args[1]) == args[0].dtype.itemsize,
        'numpy scalar: dtype and data do not agree',
    )
    dtype, data = args[0].dtype, args[1]
    return np.frombuffer(data, dtype)[0] if data else dtype.type()


def arrays_to_tensors(file: Any) -> Any:
    """Turn a dict of nothing but named arrays of numbers into tensors.

    Weights of other frameworks are often saved so.  Everything else is
    returned as it is.

    Args:
        file: the content of a file, read with the stand-ins.
    """
    if type(file) is not dict or not all(map(_is_numbers, file.values())):
        return file
    # Copied, because an array may look into bytes that others share.
    return {
        name: torch.from_numpy(np.array(value)) for name, value in file.items()
    }


def _is_numbers(value: Any) -> bool:
    return (
        type(value) is CheckpointArray
        and value.dtype.kind in 'biuf'
        and value.dtype.itemsize <= 8  # torch has no long double
    )


def numpy_globals() -> dict[str, Any]:
    """Map numpy's names to the stand-ins.

    numpy 2 writes ``numpy._core``; files written with numpy 1, such as
    mmdet's published ones, contain ``numpy.core``.
    """
    return {
        'numpy.ndarray': CheckpointArray,
        'numpy.dtype': CheckpointDtype,
        'numpy._core.multiarray._reconstruct': reconstruct,
        'numpy.core.multiarray._reconstruct': reconstruct,
        'numpy._core.multiarray.scalar': scalar,
        'numpy.core.multiarray.scalar': scalar,
    }
