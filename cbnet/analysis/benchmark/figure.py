"""The results of a benchmark as a figure."""

from collections.abc import Sequence

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..plain_texts import plain_figure
from .comparing import Result
from .report import Point


def draw(points: Sequence[Point], axis: str = '') -> Figure:
    """Draw a sweep as curves, or one setting as bars of the parts."""
    if len(points) > 1:
        return _curves(points, axis)
    return _bars(points[0].results)


def _curves(points: Sequence[Point], axis: str) -> Figure:
    """Draw GMACs, times and memory over the values of the sweep."""
    panels = [
        ('GMACs of an image', lambda one: one.macs and one.macs / 1e9),
        ('median time of a pass, ms', lambda one: 1e3 * one.times.median),
        ('memory, MB', lambda one: one.memory / 2**20),
    ]
    kept = [
        (title, read)
        for title, read in panels
        if any(read(one) for point in points for one in point.results)
    ]
    figure = Figure(figsize=(4 * len(kept), 3.2), layout='constrained')
    axes = figure.subplots(1, len(kept), squeeze=False)[0]
    values = [point.swept for point in points]
    for panel, (title, read) in zip(axes, kept, strict=True):
        for k, first in enumerate(points[0].results):
            heights = [read(point.results[k]) for point in points]
            known = [
                (value, height)
                for value, height in zip(values, heights, strict=True)
                if height is not None
            ]
            panel.plot(*zip(*known, strict=True), 'o-', label=first.name)
        panel.set(title=title, xlabel=axis, ylim=(0, None))
    axes[0].legend(fontsize=7)
    return plain_figure(figure)


def _bars(results: Sequence[Result]) -> Figure:
    """Draw a bar for each candidate, made of its parts."""
    figure = Figure(
        figsize=(8, 1.2 + 0.5 * len(results)), layout='constrained'
    )
    panel: Axes = figure.subplots()
    names = dict.fromkeys(name for one in results for name in one.parts)
    colours = colormaps['tab20'].colors
    labels = [one.name for one in results]
    left = [0.0] * len(results)
    for k, name in enumerate(names):
        widths = [1e3 * one.parts.get(name, 0.0) for one in results]
        colour = colours[k % len(colours)]
        panel.barh(labels, widths, left=left, label=name, color=colour)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    panel.set(xlabel='ms of a pass')
    panel.invert_yaxis()
    figure.legend(loc='outside right upper', fontsize=7)
    return plain_figure(figure)
