"""Let torch's safe loading read the checkpoints that mmengine writes.

mmengine 0.10.7 puts its message hub into every checkpoint: numpy scalars and
arrays inside ``HistoryBuffer`` objects, whose statistics are pickled as
``builtins.getattr(HistoryBuffer, 'mean')``.  torch >= 2.6 loads with
``weights_only=True`` and refuses these names, so resuming fails.  The names
are allowed one by one; ``getattr`` is never the real one.
"""

import pickle
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

# numpy 2 writes numpy._core; files written under numpy 1 say numpy.core.
_NUMPY_MODULES = ('numpy._core.multiarray', 'numpy.core.multiarray')
_STATISTICS = ('min', 'max', 'current', 'mean')


def history_statistic(owner: Any, name: str) -> Any:
    """Stand in for ``builtins.getattr`` inside checkpoints.

    Args:
        owner: must be mmengine's ``HistoryBuffer``.
        name: one of its statistics.

    Raises:
        pickle.UnpicklingError: for every other attribute of anything.
    """
    if owner is not HistoryBuffer or name not in _STATISTICS:
        raise pickle.UnpicklingError(
            f'the checkpoint asks for getattr({owner!r}, {name!r}); only the '
            f'statistics {_STATISTICS} of HistoryBuffer are allowed'
        )
    return getattr(HistoryBuffer, name)


def allow_checkpoint_globals() -> None:
    """Add what mmengine's checkpoints hold to torch's safe globals."""
    reconstruct = np.array(0.0).__reduce__()[0]
    scalar = np.float64(0.0).__reduce__()[0]
    dtypes = {type(np.dtype(code)) for code in np.typecodes['All']}
    allowed = [
        HistoryBuffer,
        (history_statistic, 'builtins.getattr'),
        np.ndarray,
        np.dtype,
        *sorted(dtypes, key=lambda kind: kind.__name__),
    ]
    for module in _NUMPY_MODULES:
        allowed += [
            (reconstruct, f'{module}._reconstruct'),
            (scalar, f'{module}.scalar'),
        ]
    torch.serialization.add_safe_globals(allowed)
