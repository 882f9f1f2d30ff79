"""Average the weights of several checkpoints equally."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import UserValueError
from .fit import compare
from .weight_files import find_weights, read_file

#: the two kinds of weights that a run with an averaging hook saves
KINDS = ('averaged', 'trained')
_AVERAGES = 'ema_state_dict'


def average_checkpoints(
    paths: Sequence[str | os.PathLike[str]], take: str | None = None
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Average the weights of files, with one file in memory at a time.

    Args:
        paths: two or more checkpoints of one model.
        take: one of ``KINDS``, for files of a run with an averaging hook.

    Returns:
        The average, summed in float64, and the meta of the last file.
        Integer buffers are counters and come from the last file.

    Raises:
        ValueError: names the file and the weights that differ in name,
            shape or data type.
    """
    if len(paths) < 2:
        raise UserValueError(f'{len(paths)} file to average; give two or more')
    first: dict[str, Tensor] = {}
    sums: dict[str, Tensor] = {}
    for path in paths:
        file = read_file(path)
        weights = _weights(file, Path(path), take)
        if not first:
            first = {n: w.to('meta') for n, w in weights.items()}
        elif wrong := compare(weights, first, types=True).differences(
            str(path), str(paths[0])
        ):
            raise UserValueError(
                f'{paths[0]} and {path} are not checkpoints of one model: '
                f'{wrong}'
            )
        for name, weight in weights.items():
            if weight.is_floating_point():
                sums[name] = sums.get(name, 0) + weight.double()
    for name, total in sums.items():
        weights[name] = (total / len(paths)).to(weights[name].dtype)
    meta = file.get('meta')
    return weights, dict(meta) if isinstance(meta, Mapping) else {}


def _weights(
    file: Mapping[str, Any], path: Path, take: str | None
) -> dict[str, Tensor]:
    """Choose the averaged or the trained weights of a file.

    mmengine's averaging hooks save the average as ``state_dict`` and the
    trained weights beside it.
    """
    if _AVERAGES not in file:
        return find_weights(file, str(path))
    if take is None:
        raise UserValueError(
            f'{path} comes from a run with an averaging hook and already '
            f'holds an average; choose the weights with --take '
            f'{" or --take ".join(KINDS)}'
        )
    if take == 'trained' and isinstance(file[_AVERAGES], Mapping):
        file = {n: w for n, w in file[_AVERAGES].items() if n != 'steps'}
    return find_weights(file, str(path))
