"""Draw what a composite's members compute and what its connections add."""

from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from ..models.backbones.connections import STEM
from .connection_maps import FeatureMap, MemberMaps
from .plain_texts import plain_figure

_DPI = 100
_CELL, _CAPTIONS, _TITLE = 1.95, 0.9, 0.8  # inches
_LOWEST, _TALLEST = 0.5, 1.4  # the limits of a cell's height / width
_QUIET, _WARN = '#666666', '#b3261e'
_BAND, _EMPTY = '#eef2f7', '#dfe3e8'
_FOOTER = (
    'A map is the mean absolute activation over the channels. Each has its '
    'own scale, from 0 (dark) to\nthe largest value noted below it. Sizes '
    'are channels×height×width.'
)


def draw_connections(
    pixels: np.ndarray, members: list[MemberMaps], title: str
) -> Figure:
    """Draw a row for each member and connection, and a column for each stage.

    ``pixels`` is the image as the backbone receives it, RGB uint8 (H, W, 3);
    ``members`` comes from ``connection_maps``. The figure has no window.
    """
    stages = sorted({i for member in members for i in member.outputs})
    height, width = pixels.shape[:2]
    aspect = np.clip(height / width, _LOWEST, _TALLEST)
    rows, columns = 2 * len(members) - 1, len(stages) + 1
    size = (
        columns * _CELL,
        rows * (aspect * _CELL + _CAPTIONS) + 2 * _TITLE,
    )
    figure = Figure(size, _DPI, facecolor='white', layout='constrained')
    figure.suptitle(fill(title, 15 * columns), fontsize=12, weight='bold')
    note, colour = _summary(members)
    figure.supxlabel(f'{note}\n{_FOOTER}', fontsize=9.5, color=colour)
    parts = figure.subfigures(rows, 1, squeeze=False)[:, 0]
    for k, member in enumerate(members):
        if k:
            part = parts[2 * k - 1]
            part.set_facecolor(_BAND)
            heading = (
                f'connection {k - 1} → {k}: added to the stage inputs of '
                f'member {k}'
            )
            first, *cells = _row(part, heading, columns)
            first.set_axis_off()
            for i, axes in zip(stages, cells, strict=True):
                _draw_added(axes, i, member)
        role = 'lead' if k == len(members) - 1 else 'assistant'
        heading = f'member {k} ({role}, {member.backbone}): stage outputs'
        first, *cells = _row(parts[2 * k], heading, columns)
        if k:
            first.set_axis_off()
        else:
            first.imshow(pixels)
            _label(first, f'input: 3×{height}×{width}')
        for i, axes in zip(stages, cells, strict=True):
            name = 'stem' if i == STEM else f'stage {i}'
            if i in member.outputs:
                _draw_map(axes, member.outputs[i], name)
            else:
                _draw_nothing(axes, 'shared:\nfrom member 0', name)
    return plain_figure(figure)


def _summary(members: list[MemberMaps]) -> tuple[str, str]:
    """Sum up the connections in a sentence, with its colour."""
    added = [one for member in members for one in member.added.values()]
    if len(members) == 1:
        return 'One member: there is nothing to connect.', _QUIET
    if added and not any(one.strength for one in added):
        return (
            'The connections add zero everywhere: they are untrained '
            '(their last layer starts at zero).',
            _WARN,
        )
    return (
        'The strength of a connection is |added| / |stage input before it|, '
        'in Euclidean norms.',
        _QUIET,
    )


def _row(part: SubFigure, heading: str, columns: int) -> list[Axes]:
    part.suptitle(heading, x=0.01, ha='left', fontsize=11)
    cells = list(part.subplots(1, columns))
    for axes in cells:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    return cells


def _draw_added(axes: Axes, i: int, member: MemberMaps) -> None:
    if i == STEM:
        axes.set_axis_off()
    elif i in member.added:
        added = member.added[i]
        edges = '  '.join(
            f'{"stem" if source == STEM else source}→{target}'
            for source, target in added.edges
        )
        if added.strength:
            strength = f'strength {added.strength:.2g}, '
            _draw_map(axes, added.map, edges, strength)
        else:
            _draw_nothing(axes, 'adds 0', f'{edges}\n{_size(added.map)}')
    elif i in member.outputs:
        _draw_nothing(axes, 'no edge')
    else:
        _draw_nothing(axes, 'shared:\nno input of its own')


def _draw_map(
    axes: Axes, shown: FeatureMap, name: str, strength: str = ''
) -> None:
    """Draw a map from 0 to its largest value."""
    largest = float(shown.values.max())
    axes.imshow(
        shown.values,
        vmin=0,
        vmax=largest or 1.0,
        aspect='auto',
        interpolation='nearest',
    )
    above, below = f'{name}\n{_size(shown)}', f'{strength}0 to {largest:.3g}'
    _label(axes, above, below)


def _draw_nothing(axes: Axes, why: str, above: str = '') -> None:
    axes.set_facecolor(_EMPTY)
    centre = dict(ha='center', va='center', transform=axes.transAxes)
    axes.text(0.5, 0.5, why, color=_QUIET, fontsize=10, **centre)
    _label(axes, above)


def _label(axes: Axes, above: str, below: str = '') -> None:
    axes.set_title(above, fontsize=8.5)
    axes.set_xlabel(below, fontsize=8.5, color=_QUIET)


def _size(shown: FeatureMap) -> str:
    height, width = shown.values.shape
    return f'{shown.channels}×{height}×{width}, stride {shown.stride}'
