"""Say which entry to take, as far as the seeds tell entries apart."""

from collections.abc import Iterator, Mapping
from itertools import product

from ..messages import number_of
from ..studies.numbers import plus_minus
from .results import Results

#: the ratio up to which two measured latencies are taken for the same
_SAME_LATENCY = 1.05
_FEW_SEEDS, _NO_SAMPLES = 'fewer than two seeds', 'no samples of test images'
#: what two entries lack in common -> what helps
_ADVICE = {
    _FEW_SEEDS: 'train at least two seeds of each, better three (--seeds 3)',
    _NO_SAMPLES: (
        'repeat the command with them, which draws lost samples again from '
        'the results files of their runs'
    ),
}


def recommended(results: Results, data: str) -> Iterator[str]:
    """Say what is best on a data set, what is near it, and what to take.

    Args:
        results: the results of a battle.
        data: the name of the data set.
    """
    done = {
        name: results.results[data, name]
        for name in results.entries
        if results.results[data, name].values('box AP')
    }
    if not done:
        return
    best = max(done, key=lambda name: done[name].mean('box AP'))
    seeds = number_of(len(done[best].values('box AP')), 'seeds')
    shown = plus_minus(done[best].mean('box AP'), done[best].spread('box AP'))
    yield f'On {data}, {best} has the best box AP, {shown} ({seeds}).'
    others = [name for name in done if name != best]
    lacking = {name: _lacking(results, data, name, best) for name in others}
    yield from _not_known(lacking)
    known = [name for name in others if not lacking[name]]
    near = [
        name
        for name in known
        if results.difference(data, name, best, 'box').noise
    ]
    if len(near) == len(others) > 1:
        yield 'Inside the noise, none of the others can be told from it.'
    elif near:
        names = '; '.join(near)  # names of entries may contain commas
        yield f'Inside the noise, these cannot be told from it: {names}.'
    elif known:
        yield 'All others differ from it by more than the noise.'
    cheap = _cheapest(results, [best, *near])
    if known == others and cheap and cheap != best:
        yield f'Of them, {cheap} is the cheapest to use; take it.'


def _lacking(results: Results, data: str, one: str, other: str) -> str:
    """Name what two entries lack in common to be compared, if they do."""
    found = results.difference(data, one, other, 'box')
    if found is not None and found.seeds is not None:
        return ''
    a, b = (results.results[data, name].seeds.keys() for name in (one, other))
    return _FEW_SEEDS if len(a & b) < 2 else _NO_SAMPLES


def _not_known(lacking: Mapping[str, str]) -> Iterator[str]:
    """Say which entries cannot be compared with the best one, and why.

    Args:
        lacking: what each of the other entries lacks, or an empty text.
    """
    for what, advice in _ADVICE.items():
        names = [name for name, one in lacking.items() if one == what]
        if not names:
            continue
        who, which = 'these differ', f': {"; ".join(names)}'
        if len(names) == len(lacking) > 1:
            who, which = 'the others differ', ''
        yield (
            f'It is not known whether {who} from it by more than the noise, '
            f'because they have {what} in common with it{which}. Therefore no '
            f'entry is recommended; {advice}.'
        )


def _cheapest(results: Results, names: list[str]) -> str | None:
    """Name the entry with the least latency, as far as it tells them apart."""
    costs = {name: results.costs.get(name) for name in names}
    if None in costs.values():
        return None
    fastest = [one.latency for one in costs.values()]
    if None not in fastest:
        limit = _SAME_LATENCY * min(fastest)
        costs = {n: one for n, one in costs.items() if one.latency <= limit}
    if any(one.macs is None for one in costs.values()):
        return None
    return min(costs, key=lambda name: costs[name].macs)


def by_budget(results: Results) -> Iterator[str]:
    """Say which entry to take from which price on.

    Args:
        results: the results of a battle.
    """
    for cost, unit, factor in (
        ('latency', 'ms an image', 1e-3),
        ('parameters', 'M parameters', 1e6),
    ):
        taken: list[str] = []
        for name in results.front(cost):
            if not taken or _better(results, name, taken[-1]):
                taken.append(name)
        if unknown := next(_incomparable(results, cost, taken), None):
            yield unknown
            return  # the other cost would say the same
        steps = [
            f'from {getattr(results.costs[name], cost) / factor:.3g} {unit} '
            f'on, {name} ({results.overall(name):.3f})'
            for name in taken
        ]
        if steps:
            yield (
                f'By the mean box AP over the data sets, take: '
                f'{"; ".join(steps)}; no dearer entry is better by more than '
                f'the noise.'
            )


def _better(results: Results, name: str, other: str) -> bool:
    """Tell whether an entry is better on a data set, outside the noise."""
    found = (
        results.difference(data, name, other, 'box')
        for data in results.finished
    )
    return any(one and not one.noise and one.mean > 0 for one in found)


def _incomparable(
    results: Results, cost: str, taken: list[str]
) -> Iterator[str]:
    """Yield why an entry cannot be compared with one of those to take."""
    priced = [
        name
        for name in results.entries
        if getattr(results.costs.get(name), cost, None) is not None
        and results.overall(name) is not None
    ]
    for data, one, other in product(results.finished, taken, priced):
        what = one != other and _lacking(results, data, other, one)
        if what:
            yield (
                f'Which entry to take from which price on is not known: on '
                f'{data}, {other} and {one} have {what} in common; '
                f'{_ADVICE[what]}.'
            )
