"""The bar charts of a battle's report: AP by class and by corruption."""

from collections.abc import Iterator, Mapping
from statistics import fmean
from typing import Any

from .chart import DIFFERENCE, NAMES, Chart, height_of, look, plain
from .results import Results


def draw_classes(results: Results, data: str, kind: str) -> Iterator[Chart]:
    """Draw by how much each class differs from the reference."""
    reference = results.results[data, results.reference].classes(kind)
    classes = results.manifest['data'][data]['classes']
    values = {}
    for name in results.entries:
        own = results.results[data, name].classes(kind)
        if name != results.reference:
            values[name] = {
                c: own[c] - reference[c]
                for c in classes
                if c in own and c in reference
            }
    title = f'difference in {kind} AP'  # short, for narrow screens
    figure = _grouped_bars(results, values, title=title, **DIFFERENCE)
    if not figure['data']:
        return
    mean = fmean(reference.values())
    yield Chart(
        f'{data}: {kind} AP of each class',
        f'By how much the AP of each class differs from that of '
        f'{results.reference}, whose mean over the classes is {mean:.3f}.',
        figure,
        _height(values),
    )


def draw_corruptions(
    results: Results, data: str, kind: str
) -> Iterator[Chart]:
    """Draw the AP on the images as they are, and under each corruption."""
    values = {}
    for name in results.entries:
        found = results.robustness(data, name, kind)
        if found is not None:
            values[name] = {'as they are': found.clean} | {
                one.replace('_', ' '): ap
                for one, ap in found.corruptions.items()
            }
    figure = _grouped_bars(
        results, values, title=f'{kind} AP', rangemode='tozero'
    )
    if not figure['data']:
        return
    yield Chart(
        f'{data}: {kind} AP on corrupted images',
        'The AP on the images as they are and under each corruption, a mean '
        'over the levels and seeds. There are no intervals, so small '
        'differences say nothing.',
        figure,
        _height(values),
    )


def _grouped_bars(
    results: Results, values: Mapping[str, Mapping[str, float]], **axis: Any
) -> dict[str, Any]:
    """Draw a group of bars for each name, with a bar for each entry.

    Args:
        results: the results, for the colours.
        values: the lengths of the bars, by entry and name.
        axis: the settings of the axis of the lengths.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    for entry, bars in values.items():
        if bars:
            figure.add_bar(
                x=[*bars.values()],
                y=[plain(name) for name in bars],
                orientation='h',
                marker=dict(color=look(results, entry)['color']),
                name=plain(entry),
            )
    figure.update_layout(barmode='group')
    figure.update_xaxes(**axis)
    figure.update_yaxes(**NAMES)
    return figure.to_plotly_json()


def _height(values: Mapping[str, Mapping[str, float]]) -> int:
    names = {name for bars in values.values() for name in bars}
    return height_of(len(names), sum(map(bool, values.values())))
