"""Draw the results of a study: the AP of each arm, a point for each seed."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from .costs import Cost
from .results import ALONE, BUDGETS, METRICS, Result, Results
from .statistics import interval

_LOOKS = {'steps': dict(marker='o'), 'time': dict(marker='s')}
_GREY = '0.55'


def draw_results(
    results: Sequence[Result], costs: Mapping[str, Cost]
) -> Figure:
    """Draw a panel for each metric, with the arms from top to bottom.

    Circles are runs of equal steps, squares those of equal time, a bar is
    their mean. The dotted line is the mean AP before the further training.
    """
    found = {name: Results(results, end) for end, name in METRICS.items()}
    found = {name: one for name, one in found.items() if one.values}
    arms = [*costs]
    size = 2.6 + 3.6 * len(found), 1.3 + 0.55 * len(arms)
    figure = Figure(size, 110, facecolor='white', layout='constrained')
    panels = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
    for axes, (name, one) in zip(panels, found.items(), strict=True):
        start = [*one.of(ALONE, 'start').values()]
        if start:
            axes.axvline(interval(start)[0], color=_GREY, ls=':')
        for row, arm in enumerate(arms):
            for budget, up in zip(BUDGETS, (-0.15, 0.15), strict=True):
                _draw(axes, one, (arm, budget), row + up)
        axes.set_title(f'{name} at the end', fontsize=11, loc='left')
        axes.set_yticks(range(len(arms)), arms)
        axes.grid(axis='x', alpha=0.3)
    panels[0].invert_yaxis()
    handles = [
        panels[0].plot([], [], ls='', color='C0', **look, label=title)[0]
        for look, title in zip(_LOOKS.values(), BUDGETS.values(), strict=True)
    ]
    figure.legend(
        handles, BUDGETS.values(), loc='outside lower center', ncols=2,
        frameon=False,
    )  # fmt: skip
    return figure


def _draw(axes, one: Results, key: tuple[str, str], height: float) -> None:
    values = [*one.of(*key).values()]
    if not values or key == (ALONE, 'time'):
        return
    axes.plot(
        values, [height] * len(values), ls='', color='C0', alpha=0.6, ms=5,
        **_LOOKS[key[1]],
    )  # fmt: skip
    axes.plot([interval(values)[0]], [height], 'k|', ms=13, mew=2)
