"""The equal average of several checkpoints' weights."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import UserValueError
from .weight_files import find_weights, read_file

#: which weights of a file that holds two kinds of them
KINDS = ('averaged', 'trained')
_AVERAGES = 'ema_state_dict'


def average_checkpoints(
    paths: Sequence[str | os.PathLike[str]], take: str | None = None
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Average the weights of files, one file in memory at a time.

    Args:
        paths: two or more checkpoints of one model.
        take: one of ``KINDS``, for files of a run with an averaging hook.

    Returns:
        Weights, and the meta of the last file.  Sums are made in float64;
        integer buffers, which are counts, are the last file's.

    Raises:
        ValueError: names the file, and the weights that differ in name,
            shape or dtype.
    """
    if len(paths) < 2:
        raise UserValueError(f'{len(paths)} file to average; give two or more')
    sums: dict[str, Tensor] = {}
    first: dict[str, Tensor] = {}
    weights: dict[str, Tensor] = {}
    meta: dict[str, Any] = {}
    for path in paths:
        file = read_file(path)
        weights, meta = _weights(file, Path(path), take), file.get('meta', {})
        if not sums:
            first = {n: w.to('meta') for n, w in weights.items()}
            sums = {n: w.double() for n, w in weights.items() if _real(w)}
            continue
        _require_equal(first, weights, paths[0], path)
        for name, total in sums.items():
            total += weights[name]
    average = dict(weights)
    for name, total in sums.items():
        average[name] = (total / len(paths)).to(weights[name].dtype)
    return average, dict(meta)


def _weights(
    file: Mapping[str, Any], path: Path, take: str | None
) -> dict[str, Tensor]:
    """Choose among the weights of a file.

    mmengine's averaging hooks save the average as ``state_dict`` and the
    trained weights beside it.
    """
    if _AVERAGES not in file:
        return find_weights(file)
    if take is None:
        raise UserValueError(
            f'{path} is of a run with an averaging hook and holds an average '
            f'already; say which weights to take: {" or ".join(KINDS)}'
        )
    if take == 'averaged':
        return find_weights(file)
    trained = dict(file[_AVERAGES])
    trained.pop('steps', None)
    return find_weights(trained)


def _real(weight: Tensor) -> bool:
    return weight.is_floating_point()


def _require_equal(
    first: Mapping[str, Tensor],
    other: Mapping[str, Tensor],
    first_path: str | os.PathLike[str],
    path: str | os.PathLike[str],
) -> None:
    differ = []
    for name in sorted(set(first) | set(other)):
        found = _kind(other.get(name))
        expected = _kind(first.get(name))
        if found != expected:
            differ.append(f'{name}: {expected} and {found}')
    if differ:
        more = ', ...' if len(differ) > 5 else ''
        raise UserValueError(
            f'{first_path} and {path} are not of one model; {len(differ)} '
            f'weights differ: {"; ".join(differ[:5])}{more}'
        )


def _kind(weight: Tensor | None) -> str:
    if weight is None:
        return 'missing'
    return f'{tuple(weight.shape)} {str(weight.dtype).removeprefix("torch.")}'
