"""Draw the curves of training runs, with a panel for curves that compare."""

import re
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
from matplotlib import colormaps, cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..errors import UserValueError
from .log_curves import RunLog, smoothed
from .plain_texts import plain_figure

# A dotted line marks where a run was resumed.
_STYLES = ['-', '--', '-.', (0, (9, 2)), (0, (5, 1, 1, 1, 1, 1))]
_LOOKS = cycler(
    color=colormaps['tab10'].colors,
    linestyle=_STYLES * 2,
    marker=list('os^Dv' * 2),
)
#: the most curves in a panel; some detectors have a loss per decoder layer
_MOST = 12
# title, regular expression of the keys, unit
_OTHERS = (
    ('AP', r'.*mAP', ''),
    ('AP at IoU 0.5', r'.*mAP_50', ''),
    ('Learning rate', r'(base_)?lr', ''),
    ('Time per step', r'(data_)?time', 'seconds'),
    ('Memory, maximum so far', r'memory', 'MB'),
)


class Panel(NamedTuple):
    """The curves that are drawn into the same axes, by their logged keys."""

    title: str
    keys: tuple[str, ...]
    unit: str = ''


def choose_panels(runs: Sequence[RunLog]) -> list[Panel]:
    """Return the panels for which the runs have curves."""
    keys = _keys(runs)
    found = (re.match(r'(assist\d+)\..*loss', key) for key in keys)
    assistants = sorted({match[1] for match in found if match})
    lead = 'Losses of the lead' if assistants else 'Losses'
    panels = []
    for title, pattern, unit in (
        ('Total loss', 'loss', ''),
        (lead, r'(?!assist\d+\.|loss$).*loss.*', ''),
        *((f'Losses of {a}', rf'{a}\..*loss.*', '') for a in assistants),
        *_OTHERS,
    ):
        found = [key for key in keys if re.fullmatch(pattern, key)]
        if len(found) > _MOST:
            title += f' ({_MOST} largest of {len(found)})'
            largest = sorted(found, key=lambda key: -_mean(runs, key))[:_MOST]
            found = [key for key in found if key in largest]
        if found:
            panels.append(Panel(title, tuple(found), unit))
    return panels


def panels_of(runs: Sequence[RunLog], wanted: Sequence[str]) -> list[Panel]:
    """Return a panel for each key; evaluators' prefixes may be left out.

    Raises:
        ValueError: no run has such a key.
    """
    keys = _keys(runs)
    panels = []
    for name in wanted:
        found = [key for key in keys if name in (key, key.split('/')[-1])]
        if not found:
            raise UserValueError(
                f'no run logged {name!r}; there are {", ".join(keys)}'
            )
        panels += [Panel(key, (key,)) for key in found]
    return list(dict.fromkeys(panels))


def draw_curves(
    runs: Sequence[RunLog],
    labels: Sequence[str],
    panels: Sequence[Panel],
    smooth: int = 1,
) -> Figure:
    """Draw the curves of all runs, panel beside panel.

    If a panel has one curve for each run, the colours tell the runs apart.
    If it has several, the colours tell the curves apart, and lines and
    markers tell the runs apart.

    A running mean over ``smooth`` logged values is drawn over the values,
    except for evaluations and learning rates.
    """
    columns = min(len(panels), 3)
    rows = -(-len(panels) // columns)
    size = 4.8 * columns, 3.3 * rows + 0.3 + 0.2 * len(runs)
    figure = Figure(size, 110, facecolor='white', layout='constrained')
    looks = list(islice(_LOOKS(), len(runs)))
    last = max(run.train[-1][0] for run in runs)
    for place, panel in enumerate(panels, start=1):
        axes = figure.add_subplot(rows, columns, place)
        for run, look in zip(runs, looks, strict=True):
            _draw_run(axes, run, panel.keys, look, smooth)
        axes.set_title(panel.title, fontsize=11, loc='left')
        axes.set(xlabel='iteration', ylabel=panel.unit)
        axes.set_xlim(-0.02 * last, 1.02 * last)
        axes.locator_params('x', nbins=6, integer=True)
        axes.grid(alpha=0.3)
        if axes.dataLim.y0 >= 0:  # start at zero, so that sizes compare
            axes.set_ylim(bottom=-0.02 * axes.get_ylim()[1])
        if len(panel.keys) > 1:
            axes.legend(fontsize=7.5, framealpha=0.75)
    note = f'running mean over {smooth} logged values' if smooth > 1 else ''
    names = [
        f'{label} (resumed at {", ".join(map(str, run.resumed))})'
        if run.resumed
        else label
        for label, run in zip(labels, runs, strict=True)
    ]
    figure.legend(
        [Line2D([], [], **look, ms=4) for look in looks],
        names,
        loc='outside upper left',
        frameon=False,
        title=note,
        handlelength=4,
        alignment='left',
    )
    return plain_figure(figure)


def _keys(runs: Sequence[RunLog]) -> list[str]:
    return list(dict.fromkeys(key for run in runs for key in run.keys()))


def _mean(runs: Sequence[RunLog], key: str) -> float:
    values = np.concatenate([run.curve(key)[1] for run in runs])
    values = values[np.isfinite(values)]
    return values.mean() if values.size else 0.0


def _draw_run(
    axes: Axes, run: RunLog, keys: Sequence[str], look: dict, smooth: int
) -> None:
    """Draw the curves of one run, and mark where it was resumed."""
    for at in run.resumed:
        axes.axvline(at, color=look['color'], ls=':', lw=1.2)
    palette = colormaps['tab10' if len(keys) <= 10 else 'tab20'].colors
    for key, colour in zip(keys, palette, strict=False):
        at, values = run.curve(key)
        if not len(at):
            continue
        evaluated, drawn = run.is_evaluated(key), dict(look, lw=1.5, ms=4)
        # A line needs two points; a single value is drawn as a marker.
        if not evaluated and len(at) > 1:
            drawn['marker'] = None
        if len(keys) > 1:
            drawn['color'] = colour
        if smooth > 1 and not evaluated and not key.endswith('lr'):
            axes.plot(at, values, **dict(drawn, lw=0.9, alpha=0.25))
            values = smoothed(values, smooth)
        name = key.split('/')[-1]
        known = axes.get_legend_handles_labels()[1]
        label = None if name in known else name
        axes.plot(at, values, **drawn, label=label)
