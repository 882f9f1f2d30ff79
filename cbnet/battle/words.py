"""Say in words what a battle has found."""

from collections.abc import Iterator

from ..messages import listed, number_of
from .changes import described
from .recommendations import by_budget, recommended
from .results import Results


def paragraphs(results: Results) -> list[str]:
    """Say what a battle has found: on each data set, by budget, and why not.

    Args:
        results: the results of a battle.
    """
    parts = [' '.join(recommended(results, data)) for data in results.datas]
    parts += [' '.join(_corrupted(results, data)) for data in results.datas]
    parts += [' '.join(by_budget(results)), ' '.join(_unfinished(results))]
    parts += [' '.join(_rates(results)), ' '.join(_failures(results))]
    parts.append(' '.join(_changed(results)))
    return [*filter(None, parts)] or ['No run has ended yet.']


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
