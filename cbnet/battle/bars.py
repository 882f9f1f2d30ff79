"""The bar charts of a battle's report: AP by class and by corruption."""

from collections.abc import Iterator
from html import escape
from statistics import fmean

from .chart import DIFFERENCE, Chart, look
from .results import Results


def draw_classes(results: Results, data: str, kind: str) -> Iterator[Chart]:
    """Draw by how much each class differs from the reference."""
    import plotly.graph_objects as go

    reference = results.results[data, results.reference].classes(kind)
    classes = results.manifest['data'][data]['classes']
    figure = go.Figure()
    for name in results.entries:
        own = results.results[data, name].classes(kind)
        shown = [c for c in classes if c in own and c in reference]
        if name == results.reference or not shown:
            continue
        figure.add_bar(
            x=[own[c] - reference[c] for c in shown],
            y=[escape(c) for c in shown],
            orientation='h',
            marker=dict(color=look(results, name)['color']),
            name=escape(name),
        )
    if not figure.data:
        return
    figure.update_layout(barmode='group')
    figure.update_xaxes(
        title=f'{kind} AP less that of {escape(results.reference)}',
        **DIFFERENCE,
    )
    figure.update_yaxes(autorange='reversed')
    mean = fmean(reference.values())
    yield Chart(
        f'{data}: {kind} AP of each class',
        f'By how much the AP of each class differs from that of the '
        f'reference, whose mean over the classes is {mean:.3f}.',
        figure.to_plotly_json(),
    )


def draw_corruptions(
    results: Results, data: str, kind: str
) -> Iterator[Chart]:
    """Draw the AP on the images as they are, and under each corruption."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for name in results.entries:
        found = results.robustness(data, name, kind)
        if found is None:
            continue
        values = {'as they are': found.clean, **found.corruptions}
        figure.add_bar(
            x=[*values.values()],
            y=[one.replace('_', ' ') for one in values],
            orientation='h',
            marker=dict(color=look(results, name)['color']),
            name=escape(name),
        )
    if not figure.data:
        return
    figure.update_layout(barmode='group')
    figure.update_xaxes(title=f'{kind} AP', rangemode='tozero')
    figure.update_yaxes(autorange='reversed')
    yield Chart(
        f'{data}: {kind} AP on corrupted images',
        'The AP on the images as they are and under each corruption, a mean '
        'over the levels and seeds. There are no intervals, so small '
        'differences say nothing.',
        figure.to_plotly_json(),
    )
