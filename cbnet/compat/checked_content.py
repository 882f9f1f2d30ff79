"""Check the content of a file of weights before anything uses it.

The file is data by then; but data of the wrong kind ends deep inside torch
or mmengine, or trains and detects nonsense without an error.
"""

import math
import re
from collections.abc import Iterator, Mapping
from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from ..messages import listed, shortened
from .file_errors import FileFault

#: more iterations or epochs than any run has
MOST_STEPS = 10**9
_DEEPEST = 100
_MOST_VALUES = 10**7
# Not weights, by the beginning of a key: their own readers check them.
_OTHERS = re.compile(
    r'meta$|message_hub$|optim|param_schedulers$|.*sched|amp$'
)
# What a layer computes with, in every kind of model.
_NUMBERS = re.compile(r'(.*\.)?(weight|bias|running_mean|running_var)')
_MASK = re.compile(r'.*mask(s|ed)?')
_ANOTHER = 'Give a checkpoint of a model: named weights, or a state_dict'
_DAMAGED = 'The file is damaged, or not what it seems; use another one'


def check_content(file: Any) -> None:
    """Refuse what no reader of checkpoints expects.

    Args:
        file: the loaded content of a file.

    Raises:
        FileFault: weights without names, of other kinds than numbers, or nan
            or infinite; or a ``meta`` whose known keys have other kinds of
            values.
    """
    if not isinstance(file, Mapping):
        raise FileFault(
            f'it holds a {_kind(file)}; expected a dict of weights', _ANOTHER
        )
    _check_nesting(file)
    if 'state_dict' in file and not isinstance(file['state_dict'], Mapping):
        raise FileFault(
            f'its state_dict is a {_kind(file["state_dict"])}', _ANOTHER
        )
    found = False
    for path, weights in _groups(file, '', ()):
        found = _check_weights(path, weights) or found
    if not found:
        has = shortened(listed(file), 200) or 'nothing'
        raise FileFault(f'it holds no weights (it has {has})', _ANOTHER)
    if file.get('meta') is not None:
        _check_meta(file['meta'])


def _kind(value: Any) -> str:
    return type(value).__name__


def _check_nesting(file: Any) -> None:
    """Refuse what copying or printing would never finish, or not survive.

    Containers that share containers take a few bytes in a pickle; unfolded,
    they may have any size.
    """
    sizes: dict[int, int] = {}  # of complete containers, unfolded
    open_ones: set[int] = set()
    waiting: list[tuple[Any, bool]] = [(file, False)]
    while waiting:
        value, is_complete = waiting.pop()
        key = id(value)
        if is_complete:
            open_ones.discard(key)
            size = 1 + sum(sizes.get(id(v), 1) for v in _inside(value))
            if size > _MOST_VALUES:
                raise FileFault('it holds vast nested values', _DAMAGED)
            sizes[key] = size
        elif key in open_ones:
            raise FileFault('it holds a value that contains itself', _DAMAGED)
        elif key not in sizes:
            open_ones.add(key)
            if len(open_ones) > _DEEPEST:
                raise FileFault('its values are nested too deeply', _DAMAGED)
            waiting.append((value, True))
            waiting += [
                (v, False)
                for v in _inside(value)
                if isinstance(v, Mapping | list | tuple)
            ]


def _inside(value: Any) -> Iterator[Any]:
    return iter(value.values() if isinstance(value, Mapping) else value)


def _groups(
    value: Mapping[Any, Any], path: str, above: tuple[str, ...]
) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """Yield each dict that holds tensors, or should, with its path."""
    tensors = any(isinstance(v, Tensor) for v in value.values())
    if tensors or path == 'state_dict.':
        yield path, value
    for key, inner in value.items():
        name = str(key)[:100]
        if isinstance(inner, Mapping) and not _OTHERS.match(name):
            yield from _groups(inner, f'{path}{name}.', (*above, name))


def _check_weights(path: str, weights: Mapping[Any, Any]) -> bool:
    """Check one dict of weights; tell whether it has any."""
    found, spoiled = False, []
    for name, weight in weights.items():
        if not isinstance(name, str):
            raise FileFault(
                f'a weight in {path or "it"} is named by a {_kind(name)}, '
                f'not by a text',
                _ANOTHER,
            )
        shown = f'{path}{name}'[:200]
        if isinstance(weight, Tensor):
            found = True
        elif not _NUMBERS.fullmatch(name):
            continue
        else:
            raise FileFault(f'{shown} is a {_kind(weight)}', _ANOTHER)
        if _NUMBERS.fullmatch(name) and not weight.is_floating_point():
            raise FileFault(
                f'{shown} holds {str(weight.dtype).removeprefix("torch.")}, '
                f'not floating-point numbers',
                'Save the weights as float32',
            )
        if not _MASK.fullmatch(name) and not _is_finite(weight):
            spoiled.append(shown)
    if spoiled:
        raise FileFault(
            f'{len(spoiled)} of {len(weights)} weights hold nan or inf '
            f'({listed(spoiled, 3)})',
            'Its training failed; use an earlier checkpoint',
        )
    return found


def _is_finite(weight: Tensor) -> bool:
    if weight.is_complex():
        raise FileFault('a weight is complex', 'Save the weights as float32')
    if not weight.is_floating_point():
        return True
    # The sum is many times faster, but may overflow.
    total = weight.sum(dtype=torch.float32).item()
    return math.isfinite(total) or bool(weight.isfinite().all())


def _check_meta(meta: Any) -> None:
    if not isinstance(meta, Mapping):
        raise FileFault(f'its meta is a {_kind(meta)}', _DAMAGED)
    for key in ('iter', 'epoch', 'batches_done'):
        if key in meta:
            _require_count(f'meta.{key}', meta[key], MOST_STEPS)
    if meta.get('seed') is not None:
        _require_count('meta.seed', meta['seed'], 2**32 - 1)
    for key in ('cfg', 'config'):
        if not isinstance(meta.get(key, ''), str):
            raise FileFault(
                f'meta.{key} is a {_kind(meta[key])}, not a text', _DAMAGED
            )
    dataset = meta.get('dataset_meta')
    if dataset is not None and not isinstance(dataset, Mapping):
        raise FileFault(
            f'meta.dataset_meta is a {_kind(dataset)}, not a dict', _DAMAGED
        )
    _require_names('meta.CLASSES', meta.get('CLASSES'))
    for key in ('classes', 'CLASSES') if dataset else ():
        _require_names(f'meta.dataset_meta.{key}', dataset.get(key))


def _require_count(name: str, value: Any, most: int) -> None:
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise FileFault(
            f'{name} is a {_kind(value)}, not a whole number', _DAMAGED
        )
    if not 0 <= value <= most:
        shown = str(value) if abs(value) < 10**18 else 'vast'
        raise FileFault(
            f'{name} is {shown}, expected a number from 0 to {most}', _DAMAGED
        )


def _require_names(name: str, value: Any) -> None:
    if value is None or isinstance(value, str):
        return
    if not isinstance(value, list | tuple):
        raise FileFault(f'{name} is a {_kind(value)}, not a list', _DAMAGED)
    if not all(isinstance(item, str) for item in value):
        raise FileFault(f'{name} holds values that are no texts', _DAMAGED)
