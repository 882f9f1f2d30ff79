"""Find a backbone's weights inside a pretrained file, by looking at the keys.

A file is flattened into dotted names, dicts included, so that wrappers
(``state_dict``, ``model``, ``teacher``) and prefixes (``module.``,
``encoder_q.``, ``backbone.``) are one thing: a path.  A path is a candidate
where, below it, the member's own names or a known layout's stand.
"""

import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..errors import UserValueError
from .layouts import LAYOUTS

OWN_NAMES = 'its own names'
_DEPTH = 6  # of dicts in dicts; those of real files end at 3
# Of several copies, the one that the software itself would use.
_PREFERRED = re.compile(r'^(teacher|state_dict_ema|model_ema|ema|ema_model)$')
_AVOIDED = re.compile(
    r'^(student|ema_state_dict|optimizer|.*_k|.*momentum.*|target.*)$'
)
_COMPOSITE = re.compile(
    r'(?:^|\.)((?:backbone\.)?(?:members|cb_modules)\.\d+\.)'
)


@dataclass(frozen=True)
class Found:
    """Weights of a backbone, found in a file.

    Args:
        path: where they stand in the file, such as ``'state_dict.module.'``.
        layout: whose names they had.
        weights: the member's names to tensors; other names below ``path``
            stay as they are.
        names: the names below ``path``, as in the file.
        outside: how many tensors the file has elsewhere.
    """

    path: str
    layout: str
    weights: dict[str, Tensor]
    names: frozenset[str]
    outside: int


def flatten(file: Any, source: str) -> dict[str, Tensor]:
    """List all tensors of a loaded file by their dotted paths.

    Raises:
        ValueError: where there are none.
    """
    flat = dict(_tensors(file, '', ()))
    if not flat:
        raise UserValueError(
            f'checkpoint={source!r} holds no weights: it is a '
            f'{type(file).__name__} without named tensors'
        )
    return flat


def _tensors(
    value: Any, path: str, above: tuple[int, ...]
) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield path, value
    elif isinstance(value, Mapping) and len(above) < _DEPTH:
        if id(value) in above:  # a dict that holds itself
            return
        for key, inner in value.items():
            if isinstance(key, str):
                yield from _tensors(
                    inner,
                    f'{path}.{key}' if path else key,
                    (*above, id(value)),
                )


def under(flat: Mapping[str, Tensor], path: str) -> dict[str, Tensor]:
    """Return what stands under a path, without it."""
    return {
        name.removeprefix(path): value
        for name, value in flat.items()
        if name.startswith(path)
    }


def find_weights(
    flat: dict[str, Tensor],
    names: Set[str],
    source: str,
    prefix: str | None = None,
) -> Found | None:
    """Find what fits a member best.

    Args:
        flat: a file's tensors, by their dotted paths.
        names: state-dict names of the member with all its stages.
        source: the file, for errors.
        prefix: look only at paths with these components.

    Returns:
        None where next to none of the names is in the file.

    Raises:
        ValueError: where nothing stands under ``prefix``, where several
            paths fit equally well and nothing tells which is meant, or for
            weights that cannot be renamed.
    """
    everything = flat
    if prefix:
        prefix = prefix.rstrip('.') + '.'
        flat = {n: v for n, v in flat.items() if f'.{prefix}' in f'.{n}'}
        if not flat:
            raise UserValueError(
                f'checkpoint={source!r}: the checkpoint holds no weights '
                f'under {prefix!r} (init_cfg.prefix); its names begin with '
                f'{_beginnings(everything)}'
            )
    try:
        candidates = list(_candidates(flat, names))
    except ValueError as error:  # of a layout, which knows no file
        raise UserValueError(f'checkpoint={source!r}: {error}') from None
    scored = []
    for path, layout, weights, below in candidates:
        if prefix and f'.{prefix}' not in f'.{path}':
            continue
        score = len(weights.keys() & names)
        # A few names, such as conv1 and bn1, are found in blocks as well.
        if score * 10 >= len(names):
            scored.append((score, path, layout, weights, below))
    if not scored:
        return None
    best = max(score for score, *_ in scored)
    near = [c for c in scored if c[0] * 10 >= best * 9]
    near.sort(key=lambda c: (_rank(c[1]), -c[0]))
    _refuse_ambiguity(near, source, prefix)
    _, path, layout, weights, below = near[0]
    return Found(
        path, layout, weights, frozenset(below), len(everything) - len(below)
    )


def _candidates(
    flat: dict[str, Tensor], names: Set[str]
) -> Iterator[tuple[str, str, dict[str, Tensor], dict[str, Tensor]]]:
    """Yield path, layout, renamed weights and weights as in the file."""
    paths = {}  # in the file's order
    for name in flat:
        start = 0
        while start >= 0:
            if name[start:] in names:
                paths[name[:start]] = None
            start = name.find('.', start) + 1 or -1
    for path in paths:
        below = under(flat, path)
        yield path, OWN_NAMES, below, below
    for path, layout, weights, below in known_layouts(flat, names):
        yield path, layout.title, weights, below


def known_layouts(
    flat: dict[str, Tensor], names: Set[str]
) -> Iterator[tuple[str, Any, dict[str, Tensor], dict[str, Tensor]]]:
    """Yield path, layout, renamed weights, weights for each known layout."""
    for layout in LAYOUTS:
        for name in flat:
            for anchor in layout.anchors:
                if not f'.{name}'.endswith(f'.{anchor}'):
                    continue
                path = name.removesuffix(anchor)
                below = under(flat, path)
                weights = layout.rename(below, names)
                if weights is not None:
                    yield path, layout, weights, below


def _rank(path: str) -> int:
    parts = path.split('.')
    return sum(bool(_AVOIDED.match(part)) for part in parts) - sum(
        bool(_PREFERRED.match(part)) for part in parts
    )


def _refuse_ambiguity(
    near: list[tuple[Any, ...]], source: str, prefix: str | None
) -> None:
    score, path, _, first, _ = near[0]
    if not prefix and (composite := _COMPOSITE.search(path)):
        raise UserValueError(
            f'checkpoint={source!r} holds a composite backbone; say which '
            f'member of it is meant, for example '
            f'init_cfg.prefix={composite[1]!r}; to load all of it, give it '
            f'to the detector (load_from)'
        )
    rivals = [
        other
        for other in near[1:]
        if other[0] == score
        and other[1] != path
        and _rank(other[1]) == _rank(path)
        and not _equal(first, other[3])
    ]
    if rivals:
        paths = ', '.join(repr(p) for p in [path, *(r[1] for r in rivals)])
        raise UserValueError(
            f'checkpoint={source!r} holds {len(rivals) + 1} backbones that '
            f'fit, under {paths}; choose one with init_cfg.prefix'
        )


def _equal(one: dict[str, Tensor], two: dict[str, Tensor]) -> bool:
    shared = one.keys() & two.keys()
    return all(torch.equal(one[name], two[name]) for name in shared)


def _beginnings(flat: Mapping[str, Tensor], most: int = 6) -> str:
    """Name the first two components of what a file holds."""
    found = list(dict.fromkeys('.'.join(n.split('.')[:2]) for n in flat))
    return ', '.join(found[:most]) + (', ...' if len(found) > most else '')
