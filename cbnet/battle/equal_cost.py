"""The preset ``equal-cost:NAME``: composites, and bigger singles beside them.

A composite costs more than its member. Whether it pays shows only beside a
bigger single of the same cost, from the same family.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from math import log

import timm

from ..errors import UserValueError
from ..messages import did_you_mean
from .costs import EntryCost
from .presets import EQUAL_COST

_SIZES = 2, 3  # members of the composites
_MOST = 24  # relatives that are measured
_COSTS = 'macs', 'parameters', 'latency'


def equal_cost(
    text: str, measure: Callable[[str], EntryCost]
) -> Iterator[str]:
    """Yield a single, its composites, and bigger singles of equal costs.

    Args:
        text: ``equal-cost:NAME`` with timm's name of a model, which may
            begin with ``random:``.
        measure: measures an entry; of costs that it does not measure, there
            is no bigger single.

    Raises:
        ValueError: there is no such model, or no other one of its family.
    """
    start, name = re.fullmatch(
        rf'{EQUAL_COST}(random:)?(.*)', text, re.S
    ).groups()
    start = start or ''
    if not timm.is_model(name):
        raise UserValueError(
            f'--entries {text!r}: {name!r} is no model of timm'
            f'{did_you_mean(name, timm.list_models())}'
        )
    others = relatives(name)
    if not others:
        raise UserValueError(
            f'--entries {text!r}: timm has no other size of {name}; name the '
            f'composites and the bigger singles one by one'
        )
    composites = [f'{number}x {start}{name}' for number in _SIZES]
    costs = {one: measure(one) for one in composites}
    single = measure(f'{start}{name}')
    found: dict[str, EntryCost] = {}
    for other in others:
        try:
            cost = measure(f'{start}{other}')
        except UserValueError:  # it cannot be a member
            continue
        if cost.parameters >= single.parameters:
            found[f'{start}{other}'] = cost
    yield f'{start}{name}'
    yield from composites
    yield from dict.fromkeys(
        near
        for composite in composites
        for key in _COSTS
        if (near := nearest(costs[composite], found, key)) is not None
    )


def relatives(name: str) -> list[str]:
    """List the models whose names differ from one in a single part.

    ``resnet18`` has the relatives ``resnet34``, ``resnet50``, and so on.
    """
    own = _parts(name)
    same = (
        other
        for other in timm.list_models(f'{own[0]}*')
        if other != name
        and len(parts := _parts(other)) == len(own)
        and parts[0] == own[0]
        and sum(a != b for a, b in zip(own, parts, strict=True)) == 1
    )
    return [*same][:_MOST]


def _parts(name: str) -> list[str]:
    return re.findall(r'\d+|[a-z]+|_', name.partition('.')[0])


def nearest(
    cost: EntryCost, others: Mapping[str, EntryCost], key: str
) -> str | None:
    """Name the entry whose cost is nearest by its ratio, if it is known."""
    wanted = getattr(cost, key)
    known = {n: getattr(c, key) for n, c in others.items()}
    known = {name: value for name, value in known.items() if value}
    if not wanted or not known:
        return None
    return min(known, key=lambda name: abs(log(known[name] / wanted)))
