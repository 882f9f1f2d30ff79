"""Say in words which entry to take, and what is inside the noise."""

from collections.abc import Iterator

from ..messages import listed, number_of
from ..studies.numbers import plus_minus
from .changes import described
from .results import Results

#: the ratio up to which two measured latencies are taken for the same
_SAME_LATENCY = 1.05


def paragraphs(results: Results) -> list[str]:
    """Say what a battle has found: on each data set, by budget, and why not.

    Args:
        results: the results of a battle.
    """
    parts = [' '.join(_about(results, data)) for data in results.datas]
    parts += [' '.join(_corrupted(results, data)) for data in results.datas]
    parts += [' '.join(_budgets(results)), ' '.join(_unfinished(results))]
    parts += [' '.join(_rates(results)), ' '.join(_failures(results))]
    parts.append(' '.join(_changed(results)))
    return [*filter(None, parts)] or ['No run has ended yet.']


def _about(results: Results, data: str) -> Iterator[str]:
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
    near = [
        name
        for name in done
        if name != best and _near(results, data, name, best)
    ]
    if near:
        others = '; '.join(near)  # names of entries may contain commas
        if len(near) == len(done) - 1 > 1:
            yield 'Inside the noise, none of the others can be told from it.'
        else:
            yield f'Inside the noise, these cannot be told from it: {others}.'
        tied = [best, *near]
        cheap = _cheapest(results, tied)
        if cheap and cheap != best:
            yield f'Of them, {cheap} is the cheapest to use; take it.'
    elif len(done) > 1:
        yield 'All others differ from it by more than the noise.'
    if len(done[best].values('box AP')) < 2:
        yield (
            'With one seed the noise between trainings is not known, so no '
            'difference is claimed.'
        )


def _near(results: Results, data: str, name: str, best: str) -> bool:
    found = results.difference(data, name, best, 'box')
    return found is None or found.noise


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


def _corrupted(results: Results, data: str) -> Iterator[str]:
    """Say what is left of the box AP on corrupted images."""
    found = {
        name: one
        for name in results.entries
        if (one := results.robustness(data, name, 'box'))
    }
    if not found:
        return
    conditions = results.conditions(data)
    names = dict.fromkeys(one.corruption for one in conditions)
    order = sorted(found, key=lambda n: found[n].corrupted, reverse=True)
    shown = [
        f'{name} {found[name].corrupted:.3f}' + _kept(found[name].relative)
        for name in order
    ]
    yield (
        f'On corrupted images of {data} '
        f'({number_of(len(names), "corruptions")}, '
        f'{number_of(len(conditions), "evaluations")} of each training), the '
        f'mean box AP is: {"; ".join(shown)}.'
    )
    each = found[order[0]].corruptions
    yield (
        f'The lowest of {order[0]} is {min(each.values()):.3f} with '
        f'{min(each, key=each.get)}.'
    )
    if len(found) > 1:
        yield (
            'No interval was computed for these, so no difference between '
            'entries is claimed.'
        )


def _kept(relative: float | None) -> str:
    return '' if relative is None else f' ({relative:.0%} of the clean one)'


def _budgets(results: Results) -> Iterator[str]:
    """Say which entry to take from which price on."""
    for cost, unit, factor in (
        ('latency', 'ms an image', 1e-3),
        ('parameters', 'M parameters', 1e6),
    ):
        taken: list[str] = []
        for name in results.front(cost):
            if not taken or _better(results, name, taken[-1]):
                taken.append(name)
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


def _unfinished(results: Results) -> Iterator[str]:
    """Say which data sets do not count yet, and why."""
    for data, names in results.unfinished.items():
        others = '; '.join(names)  # names of entries may contain commas
        yield (
            f'{data} is left out of the mean AP, the z-scores and the Pareto '
            f'fronts until it has results of: {others}.'
        )


def _rates(results: Results) -> Iterator[str]:
    """Say which entries have chosen from fewer rates than others."""
    known = [f'{rate:g}' for rate in results.manifest.get('lrs', ())]
    for (data, name), one in results.results.items():
        missing = [rate for rate in known if rate not in one.rates]
        if one.lr is not None and missing:
            yield (
                f'{name} on {data} has not tried all learning rates that '
                f'other entries chose from: {listed(missing)}; a call with '
                f'this entry tries them, too.'
            )


def _failures(results: Results) -> Iterator[str]:
    for (data, name), one in results.results.items():
        for reason, count in one.reasons.items():
            yield (
                f'{number_of(count, "runs")} of {name} on {data} failed: '
                f'{reason.rstrip(".")}.'
            )


def _changed(results: Results) -> Iterator[str]:
    """Say which entries differ from the others in more than their backbone."""
    for name, about in results.manifest['entries'].items():
        if changes := about.get('changes'):
            yield (
                f'{name} overrides its config, which the other entries do not '
                f'share: {"; ".join(described(changes))}.'
            )
