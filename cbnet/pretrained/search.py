"""Find a backbone's weights inside a pretrained file by their names.

A file is flattened into dotted names, including the names of nested dicts.
Wrappers (``state_dict``, ``model``, ``teacher``) and prefixes (``module.``,
``encoder_q.``, ``backbone.``) then look alike: each is a path.  A path is a
candidate if the names below it are the member's own or those of a known
layout.
"""

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..errors import UserValueError
from ..messages import listed
from .layouts import LAYOUTS, Layout

OWN_NAMES = 'its own names'
_DEPTH = 6  # the deepest nesting of dicts; real files end at 3
# Of several copies, take the one that the file's own code would use.
_PREFERRED = re.compile(r'^(teacher|state_dict_ema|model_ema|ema|ema_model)$')
_AVOIDED = re.compile(
    r'^(student|ema_state_dict|optimizer|.*_k|.*momentum.*|target.*)$'
)
_COMPOSITE = re.compile(
    r'(?:^|\.)((?:backbone\.)?(?:members|cb_modules)\.\d+\.)'
)


@dataclass(frozen=True)
class Found:
    """The weights of a backbone in a file.

    Attributes:
        path: the place of the weights, such as ``'state_dict.module.'``.
        layout: the title of the layout that they have in the file.
        weights: the weights under the member's names; the layout leaves
            unknown names unchanged.
        below: the same weights under the names that follow ``path``.
        score: the number of names that the member has as well.
    """

    path: str
    layout: str
    weights: dict[str, Tensor]
    below: dict[str, Tensor]
    score: int

    @property
    def rank(self) -> int:
        """The rank among copies, lowest first, according to the path."""
        return sum(
            bool(_AVOIDED.match(part)) - bool(_PREFERRED.match(part))
            for part in self.path.split('.')
        )


def flatten(file: Any, source: str) -> dict[str, Tensor]:
    """List all tensors of a loaded file under their dotted paths."""
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
        yield path.removesuffix('.'), value
    elif isinstance(value, Mapping) and len(above) < _DEPTH:
        if id(value) in above:  # the dict contains itself
            return
        for key, inner in value.items():
            if isinstance(key, str):
                yield from _tensors(
                    inner, f'{path}{key}.', (*above, id(value))
                )


def under(flat: Mapping[str, Tensor], path: str) -> dict[str, Tensor]:
    """Return the weights under a path, without the path in their names."""
    return {
        name.removeprefix(path): value
        for name, value in flat.items()
        if name.startswith(path)
    }


def find_backbone(
    flat: dict[str, Tensor],
    names: Set[str],
    source: str,
    prefix: str | None = None,
    more: Sequence[Layout] = (),
) -> Found | None:
    """Find the weights that match a member's names best, if any do.

    Args:
        flat: the tensors of the file under their dotted paths.
        names: the state-dict names of the member with all its stages.
        source: the name of the file, for errors.
        prefix: the components that a path must contain.
        more: layouts that only this member knows.

    Raises:
        ValueError: nothing is found under ``prefix``, several paths match
            equally well, or weights cannot be renamed.
    """
    if prefix:
        prefix = prefix.rstrip('.') + '.'
        everything = flat
        flat = {n: v for n, v in flat.items() if f'.{prefix}' in f'.{n}'}
        if not flat:
            starts = ('.'.join(name.split('.')[:2]) for name in everything)
            raise UserValueError(
                f'checkpoint={source!r} holds no weights under {prefix!r} '
                f'(init_cfg.prefix); its names begin with '
                f'{listed(dict.fromkeys(starts), 6)}'
            )
    try:
        all_found = [
            found
            for found in candidates(flat, names, more)
            if not prefix or f'.{prefix}' in f'.{found.path}'
        ]
    except ValueError as error:  # a layout does not know the file's name
        raise UserValueError(f'checkpoint={source!r}: {error}') from None
    best = max((found.score for found in all_found), default=0)
    # Single blocks have a few of the names too, such as conv1 and bn1.  A
    # preferred copy may lack a few names, such as counters of norms.
    enough = max(len(names), best * 9)
    near = [found for found in all_found if found.score * 10 >= enough]
    if not near:
        return None
    near.sort(key=lambda found: (found.rank, -found.score))
    if not prefix:
        _refuse_composite(near[0], flat, source)
    _refuse_ambiguity(near, source)
    return near[0]


def candidates(
    flat: dict[str, Tensor], names: Set[str], more: Sequence[Layout] = ()
) -> Iterator[Found]:
    """Find all weights that have the member's names or a known layout."""
    own = Layout(OWN_NAMES, names, lambda weights, names: weights)
    for layout in (own, *LAYOUTS, *more):
        paths = dict.fromkeys(  # in the order of the file
            name[: part.start()]
            for name in flat
            for part in re.finditer(r'^|(?<=\.)', name)
            if name[part.start() :] in layout.anchors
        )
        for path in paths:
            below = under(flat, path)
            weights = layout.rename(below, names)
            if weights is None:
                continue
            if len(weights) == len(below) or not layout.one_to_one:
                score = len(weights.keys() & names)
                yield Found(path, layout.title, weights, below, score)


def _refuse_composite(
    found: Found, flat: Mapping[str, Tensor], source: str
) -> None:
    composite = _COMPOSITE.search(found.path)
    if not composite:
        return
    members = {other[1] for name in flat if (other := _COMPOSITE.search(name))}
    if members == {composite[1]} and composite[1].endswith('members.0.'):
        return  # a single backbone that was trained as a composite of one
    raise UserValueError(
        f'checkpoint={source!r} holds a composite backbone; choose one of '
        f'its members, for example with init_cfg.prefix={composite[1]!r}, or '
        f'load all of it into the detector (load_from)'
    )


def _refuse_ambiguity(near: Sequence[Found], source: str) -> None:
    first = near[0]
    rivals = [
        found.path
        for found in near[1:]
        if (found.score, found.rank) == (first.score, first.rank)
        and found.path != first.path
        and not all(
            torch.equal(first.below[name], found.below[name])
            for name in first.below.keys() & found.below.keys()
        )
    ]
    if rivals:
        raise UserValueError(
            f'checkpoint={source!r} holds {len(rivals) + 1} backbones that '
            f'fit, under {listed(map(repr, [first.path, *rivals]))}; choose '
            f'one with init_cfg.prefix'
        )
