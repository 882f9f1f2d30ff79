"""The preset ``equal-cost:NAME``: composites, and bigger singles beside them.

A composite costs more than its member. Whether it pays shows only beside a
bigger single of the same cost, from the same family, with weights of the same
training.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from math import log

import timm

from ..errors import UserValueError
from ..messages import did_you_mean
from .costs import EntryCost
from .presets import EQUAL_COST

_SIZES = 2, 3  # members of the composites
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
        ValueError: there is no such model, or no bigger one of its family
            with weights of the same training.
    """
    start, name = re.fullmatch(
        rf'{EQUAL_COST}(random:)?(.*)', text, re.S
    ).groups()
    start = start or ''
    base, tagged, _ = name.partition('.')
    known = timm.list_models()
    if tagged and base in known:
        known = timm.list_pretrained(f'{base}.*')
    if name not in known:
        raise UserValueError(
            f'--entries {text!r}: {name!r} is no model of timm'
            f'{did_you_mean(name, known)}'
        )
    others = relatives(name)
    if not start:
        others = [*equally_pretrained(name, others)]
    if not others:
        raise _without_bigger(text, name, not start)
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
    if not found:
        raise _without_bigger(text, name, not start)
    yield f'{start}{name}'
    yield from composites
    yield from dict.fromkeys(
        near
        for composite in composites
        for key in _COSTS
        if (near := nearest(costs[composite], found, key)) is not None
    )


def _without_bigger(text: str, name: str, pretrained: bool) -> UserValueError:
    of, advice = '', ''
    if pretrained:
        of = f' with weights of the same training ({_tag(name)})'
        advice = f', or start all at random: {EQUAL_COST}random:{name}'
    return UserValueError(
        f'--entries {text!r}: timm has no bigger {name}{of}, beside which '
        f'composites could be compared fairly; name the entries one by one'
        f'{advice}'
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
    return [*same]  # at most 14 in timm 1.0, so that all are measured


def equally_pretrained(name: str, others: Iterable[str]) -> Iterator[str]:
    """Yield the models that have weights with the tag of a model's weights.

    Other weights come from another training, mostly a longer one or one on
    more images, so that a difference would not be that of the sizes.

    Args:
        name: timm's name of the model, perhaps with the tag of its weights.
        others: names of models without a tag.

    Yields:
        Their names, with the tag if ``name`` has one or if theirs is not the
        default.
    """
    tag = _tag(name)
    for other in others:
        if f'{other}.{tag}' in timm.list_pretrained(f'{other}.*'):
            plain = '.' not in name and _tag(other) == tag
            yield other if plain else f'{other}.{tag}'


def _tag(name: str) -> str:
    """Give the tag of a model's weights, which is the default if none is."""
    return name.partition('.')[2] or timm.get_pretrained_cfg(name).tag or ''


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
