"""The charts of a battle's report, as plotly's figures."""

import importlib.util
from collections.abc import Iterator

from ..analysis.log_curves import smoothed
from ..errors import UserValueError
from .bars import draw_classes, draw_corruptions
from .chart import (
    COLOURS,
    DIFFERENCE,
    NAMES,
    Chart,
    height_of,
    look,
    plain,
)
from .results import Results
from .tables import COSTS, FRONTS

_WINDOW = 5


def require_packages() -> None:
    """Refuse to begin without the packages of the report.

    Raises:
        ValueError: one of them is not installed.
    """
    for name in ('plotly', 'jinja2'):
        if importlib.util.find_spec(name) is None:
            raise UserValueError(
                f'the report of a battle needs the package {name}, which is '
                f"not installed; run: pip install 'cbnet[battle]'"
            )


def charts(results: Results) -> Iterator[Chart]:
    """Make the charts of what is done."""
    for cost in FRONTS:
        yield from _front(results, cost)
    for data in results.datas:
        for kind in results.kinds:
            yield from _differences(results, data, kind)
        yield from _curves(results, data)
        for draw in (draw_classes, draw_corruptions):
            for kind in results.kinds:
                yield from draw(results, data, kind)


def _front(results: Results, cost: str) -> Iterator[Chart]:
    """Draw the AP against a cost, with the entries that none beats."""
    import plotly.graph_objects as go

    title, unit, _ = COSTS[cost]
    points = {
        name: (getattr(results.costs[name], cost), results.overall(name))
        for name in results.entries
        if name in results.costs
    }
    points = {
        name: (price / unit, ap)
        for name, (price, ap) in points.items()
        if price and ap is not None
    }
    if not points:
        return
    figure = go.Figure()
    front = [name for name in results.front(cost) if name in points]
    figure.add_scatter(
        x=[points[name][0] for name in front],
        y=[points[name][1] for name in front],
        mode='lines',
        line=dict(dash='dot', shape='hv', color='#888888'),
        name='Pareto front',
        hoverinfo='skip',
    )
    for name, (x, y) in points.items():
        figure.add_scatter(
            x=[x],
            y=[y],
            mode='markers',
            marker=dict(size=11, **look(results, name)),
            name=plain(name),
        )
    figure.update_xaxes(title=title, type='log')
    figure.update_yaxes(title='mean box AP')
    yield Chart(
        f'AP against {title}',
        f'The mean box AP over the data sets against {title}. No entry '
        f'beats those on the dotted line, the Pareto front, in both: '
        f'{", ".join(front)}.',
        figure.to_plotly_json(),
    )


def _differences(results: Results, data: str, kind: str) -> Iterator[Chart]:
    """Draw the difference of each entry to the reference."""
    import plotly.graph_objects as go

    found = {
        name: results.difference(data, name, results.reference, kind)
        for name in results.entries
    }
    found = {name: one for name, one in found.items() if one is not None}
    if not found:
        return
    figure = go.Figure()
    names = [plain(name) for name in found]
    figure.add_scatter(
        x=[one.mean for one in found.values()],
        y=names,
        mode='markers',
        marker=dict(size=11, color=COLOURS[0]),
        error_x=dict(
            array=[one.high - one.mean for one in found.values()],
            arrayminus=[one.mean - one.low for one in found.values()],
        ),
        name='over images',
    )
    paired = {n: one for n, one in found.items() if one.seeds is not None}
    if paired:
        figure.add_scatter(
            x=[one.mean for one in paired.values()],
            y=[plain(name) for name in paired],
            mode='markers',
            marker=dict(size=7, color=COLOURS[1], symbol='diamond'),
            error_x=dict(array=[one.seeds for one in paired.values()]),
            name='over seeds',
        )
    figure.add_vline(x=0, line=dict(color='#888888', dash='dot'))
    figure.update_xaxes(title=f'difference in {kind} AP', **DIFFERENCE)
    figure.update_yaxes(**NAMES)
    yield Chart(
        f'{data}: {kind} AP against {results.reference}',
        'The difference of each entry to the reference, with intervals of '
        '95 % over the images and over the seeds. One that reaches 0 is '
        'inside the noise.',
        figure.to_plotly_json(),
        height_of(len(found)),
    )


def _curves(results: Results, data: str) -> Iterator[Chart]:
    """Draw the loss of each run."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for name in results.entries:
        logs = results.results[data, name].logs
        for number, (seed, log) in enumerate(logs.items()):
            steps, loss = log.curve('loss')
            figure.add_scatter(
                x=steps.tolist(),
                y=smoothed(loss, _WINDOW).tolist(),
                mode='lines',
                line=dict(width=1.5, color=look(results, name)['color']),
                name=plain(name),
                legendgroup=name,
                showlegend=number == 0,
                hovertext=f'{plain(name)}, seed {seed}',
            )
    if not figure.data:
        return
    figure.update_xaxes(title='step')
    figure.update_yaxes(title='loss')
    yield Chart(
        f'{data}: learning curves',
        f'The loss of training, a line for each seed, averaged over '
        f'{_WINDOW} logged steps. The losses of assistants count, so compare '
        f'the shapes of the curves and not their heights.',
        figure.to_plotly_json(),
    )
