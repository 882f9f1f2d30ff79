"""Draw the curves of training runs: panels for what belongs together."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ..errors import UserValueError
from .log_curves import RunLog, smoothed

_DPI = 110
_PANEL = 4.8, 3.3  # inches
_STYLES = ('-', (0, (5, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)), (0, (9, 2)))
_MARKERS = 'os^Dv'
#: Curves of a panel; detectors with a loss for each decoder layer have more.
_MOST = 12
_ASSISTANT = re.compile(r'(assist\d+)\.')


@dataclass(frozen=True)
class Panel:
    """Curves that are drawn into the same axes."""

    title: str
    keys: tuple[str, ...]
    unit: str = ''


def choose_panels(runs: Sequence[RunLog]) -> list[Panel]:
    """Give the panels that the runs have curves for."""
    keys = list(dict.fromkeys(key for run in runs for key in run.keys()))
    losses = [key for key in keys if 'loss' in key and key != 'loss']
    of_assistants: dict[str, list[str]] = {}
    of_lead = []
    for key in losses:
        found = _ASSISTANT.match(key)
        group = of_assistants.setdefault(found[1], []) if found else of_lead
        group.append(key)
    lead = 'Losses of the lead' if of_assistants else 'Losses'
    panels = [
        ('Total loss', ['loss']),
        (lead, of_lead),
        *(
            (f'Losses of {name}', of_assistants[name])
            for name in sorted(of_assistants)
        ),
        ('AP', [key for key in keys if key.endswith('mAP')]),
        ('AP at IoU 0.5', [key for key in keys if key.endswith('mAP_50')]),
        ('Learning rate', ['lr', 'base_lr']),
        ('Time per step', ['time', 'data_time'], 'seconds'),
        ('Memory, most so far', ['memory'], 'MB'),
    ]
    chosen = []
    for title, wanted, *unit in panels:
        there = [key for key in wanted if key in keys]
        if len(there) > _MOST:
            title += f' ({_MOST} largest of {len(there)})'
            there = _largest(runs, there)
        if there:
            chosen.append(Panel(title, tuple(there), *unit))
    return chosen


def panels_of(runs: Sequence[RunLog], wanted: Sequence[str]) -> list[Panel]:
    """Give a panel for each key; evaluators' prefixes may be left out.

    Raises:
        ValueError: No run has such a key.
    """
    keys = list(dict.fromkeys(key for run in runs for key in run.keys()))
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
    """Draw runs over each other, panel beside panel.

    Where a panel has one curve of each run, the colour is the run's; where
    it has several, colours are the curves', and line and marker the run's.

    Args:
        runs: What was logged.
        labels: Their names.
        panels: What to draw.
        smooth: Logged values that a running mean is over; the values
            themselves stay visible behind it.  Figures of evaluations and
            learning rates are left as they are.
    """
    columns = min(len(panels), 3)
    rows = -(-len(panels) // columns)
    size = _PANEL[0] * columns, _PANEL[1] * rows + 0.3 + 0.2 * len(runs)
    figure = Figure(size, _DPI, facecolor='white', layout='constrained')
    FigureCanvasAgg(figure)
    looks = [
        dict(
            color=colormaps['tab10'](place % 10),
            ls=_STYLES[place % len(_STYLES)],
            marker=_MARKERS[place % len(_MARKERS)],
            ms=4,
        )
        for place in range(len(runs))
    ]
    last = max(run.train[-1][0] for run in runs)
    for place, panel in enumerate(panels, start=1):
        axes = figure.add_subplot(rows, columns, place)
        _draw_panel(axes, runs, panel, looks, smooth)
        axes.set_xlim(-0.02 * last, 1.02 * last)
    handles = [
        Line2D([], [], **look, label=_run_label(label, run))
        for label, run, look in zip(labels, runs, looks, strict=True)
    ]
    note = f'running mean over {smooth} logged values' if smooth > 1 else ''
    figure.legend(
        handles=handles,
        loc='outside upper left',
        frameon=False,
        title=note,
        handlelength=4,
        alignment='left',
    )
    return figure


def _largest(runs: Sequence[RunLog], keys: list[str]) -> list[str]:
    def size(key: str) -> float:
        values = np.concatenate([run.curve(key)[1] for run in runs])
        values = values[np.isfinite(values)]
        return values.mean() if values.size else 0.0

    kept = sorted(keys, key=size, reverse=True)[:_MOST]
    return [key for key in keys if key in kept]


def _run_label(label: str, run: RunLog) -> str:
    if not run.resumed:
        return label
    return f'{label} (resumed at {", ".join(map(str, run.resumed))})'


def _draw_panel(
    axes: Axes,
    runs: Sequence[RunLog],
    panel: Panel,
    looks: Sequence[dict],
    smooth: int,
) -> None:
    several = len(panel.keys) > 1
    palette = colormaps['tab10' if len(panel.keys) <= 10 else 'tab20'].colors
    least = 0.0
    for run, look in zip(runs, looks, strict=True):
        for at in run.resumed:
            axes.axvline(at, color=look['color'], ls=':', lw=1.2)
        for place, key in enumerate(panel.keys):
            at, values = run.curve(key)
            if not len(at):
                continue
            drawn = {**look, 'lw': 1.5}
            if several:
                drawn['color'] = palette[place]
            evaluated = run.is_evaluated(key)
            # One value alone is a point, which has no line.
            if not evaluated and len(at) > 1:
                drawn['marker'] = None
            if smooth > 1 and not evaluated and not key.endswith('lr'):
                axes.plot(at, values, **{**drawn, 'lw': 0.9}, alpha=0.25)
                values = smoothed(values, smooth)
            axes.plot(at, values, **drawn)
            least = min(least, *values[np.isfinite(values)], 0.0)
    if several:
        names = [
            Line2D([], [], color=palette[place], label=key.split('/')[-1])
            for place, key in enumerate(panel.keys)
        ]
        axes.legend(handles=names, fontsize=7.5, framealpha=0.75, loc='best')
    axes.set_title(panel.title, fontsize=11, loc='left')
    axes.set_xlabel('iteration', fontsize=9)
    axes.set_ylabel(panel.unit, fontsize=9)
    axes.tick_params(labelsize=8.5)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.grid(alpha=0.3)
    if least == 0:  # seen from zero, so that sizes compare
        axes.set_ylim(bottom=-0.02 * axes.get_ylim()[1])
