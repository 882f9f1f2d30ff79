"""Draw what a composite's members compute and what connections add."""

from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.text import Text

from ..models.backbones.connections import STEM
from .connection_maps import Added, FeatureMap, MemberMaps

# All lengths are pixels.
_DPI = 100
_MARGIN, _GUTTER, _ROW_GAP = 24, 14, 18
_TITLE, _HEADER, _ROW_TITLE, _LINE, _FOOTER = 62, 30, 28, 17, 58
_LEFT, _CELL = 200, 190
# Maps of tall and of wide images stay within these heights over width.
_LOWEST, _TALLEST = 0.5, 1.4
_INK, _QUIET, _WARN = '#222222', '#666666', '#b3261e'
_BAND, _EMPTY = '#eef2f7', '#dfe3e8'
_COLOURS = 'viridis'


def draw_connections(
    pixels: np.ndarray, members: list[MemberMaps], title: str
) -> Figure:
    """Draw one row a member, the connections between, one column a stage.

    Args:
        pixels: the image as the backbone is given it, RGB uint8 (H, W, 3).
        members: what :func:`~cbnet.analysis.connection_maps.connection_maps`
            found.
        title: says what is shown.

    Returns:
        A figure to save; it belongs to no window.
    """
    stages = sorted({i for member in members for i in member.outputs})
    page = _Page(pixels.shape[0] / pixels.shape[1], stages, len(members))
    line = page.write(_MARGIN, _MARGIN + 10, title, size=15, weight='bold')
    room = (page.width - 2 * _MARGIN) / line.get_window_extent().width
    line.set_size(15 * min(1, room))
    note, colour = _summary(members)
    page.write(_MARGIN, _MARGIN + 38, note, size=10.5, color=colour)
    for i in stages:
        name = 'stem' if i == STEM else f'stage {i}'
        x = page.column(i) + _CELL / 2
        page.write(x, page.top + _HEADER / 2, name, size=12, ha='center')
    for k, member in enumerate(members):
        if k:
            _connection_row(page, member, k, stages)
        _member_row(page, member, members, k, stages)
        if k == 0:
            _image(page, pixels)
    _footer(page)
    return page.figure


@dataclass
class _Page:
    """The figure, and where rows and columns lie on it, in pixels."""

    aspect: float
    stages: list[int]
    num_members: int

    def __post_init__(self) -> None:
        self.cell_height = _CELL * min(max(self.aspect, _LOWEST), _TALLEST)
        # A title, a line above the maps and one below.
        self.row = _ROW_TITLE + 2 * _LINE + self.cell_height
        rows = 2 * self.num_members - 1
        self.top = _MARGIN + _TITLE
        self.width = self.column(self.stages[-1]) + _CELL + _MARGIN
        self.height = (
            self.top
            + _HEADER
            + rows * (self.row + _ROW_GAP)
            + _FOOTER
            + _MARGIN
        )
        size = self.width / _DPI, self.height / _DPI
        self.figure = Figure(size, _DPI, facecolor='white')
        FigureCanvasAgg(self.figure)

    def column(self, stage: int) -> float:
        """Left edge of a stage's column."""
        place = self.stages.index(stage)
        return _MARGIN + _LEFT + _GUTTER + place * (_CELL + _GUTTER)

    def row_top(self, row: int) -> float:
        """Upper edge of a row; members have even numbers."""
        return self.top + _HEADER + row * (self.row + _ROW_GAP)

    def axes(self, x: float, y: float, width: float, height: float) -> Axes:
        """Axes with their upper left corner at (x, y)."""
        return self.figure.add_axes(
            (
                x / self.width,
                1 - (y + height) / self.height,
                width / self.width,
                height / self.height,
            )
        )

    def write(self, x: float, y: float, text: str, **style) -> Text:
        """Write a line whose middle is at the height y."""
        style = {'va': 'center', 'color': _INK, **style}
        return self.figure.text(
            x / self.width, 1 - y / self.height, text, **style
        )


def _summary(members: list[MemberMaps]) -> tuple[str, str]:
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
        'Strength of a connection: |added| / |stage input before it|, '
        'Euclidean norms.',
        _QUIET,
    )


def _member_row(
    page: _Page,
    member: MemberMaps,
    members: list[MemberMaps],
    k: int,
    stages: list[int],
) -> None:
    top = page.row_top(2 * k)
    role = 'lead' if k == len(members) - 1 else 'assistant'
    page.write(
        _MARGIN, top + _ROW_TITLE / 2, f'member {k}', size=13, weight='bold'
    )
    page.write(
        page.column(stages[0]),
        top + _ROW_TITLE / 2,
        f'{role}, {member.backbone}: stage outputs',
        size=10.5,
        color=_QUIET,
    )
    for i in stages:
        if i in member.outputs:
            shown = member.outputs[i]
            _cell(page, top, i, shown, _size(shown), _scale(shown))
        else:
            _blank(page, top, i, 'shared:\nthat of member 0')


def _connection_row(
    page: _Page, member: MemberMaps, k: int, stages: list[int]
) -> None:
    top = page.row_top(2 * k - 1)
    band = page.axes(
        _MARGIN / 2, top - _ROW_GAP / 2 + 3, page.width - _MARGIN,
        page.row + _ROW_GAP - 6,
    )  # fmt: skip
    band.set(facecolor=_BAND, xticks=[], yticks=[], zorder=-1)
    band.spines[:].set_visible(False)
    page.write(
        _MARGIN,
        top + _ROW_TITLE / 2,
        f'connection {k - 1} → {k}',
        size=13,
        weight='bold',
    )
    page.write(
        page.column(stages[0]),
        top + _ROW_TITLE / 2,
        f'what member {k - 1} adds to the stage inputs of member {k}',
        size=10.5,
        color=_QUIET,
    )
    for i in stages:
        if i in member.added:
            _added(page, top, i, member.added[i])
        elif i != STEM:
            shared = i not in member.outputs
            why = 'shared:\nno input of its own' if shared else 'no edge'
            _blank(page, top, i, why)


def _added(page: _Page, top: float, i: int, added: Added) -> None:
    edges = '  '.join(
        f'{"stem" if source == STEM else source}→{target}'
        for source, target in added.edges
    )
    if not added.strength:
        _blank(page, top, i, 'adds 0', edges, _size(added.map))
        return
    share = f'strength {added.strength:#.2g}, {_scale(added.map)}'
    _cell(page, top, i, added.map, edges, share)
    axes = page.figure.axes[-1]
    # The size stands inside; above and below are the edges and the scale.
    axes.text(
        0.03, 0.04, _size(added.map), transform=axes.transAxes, size=8,
        bbox=dict(facecolor='white', alpha=0.75, lw=0, pad=1.5),
    )  # fmt: skip


def _size(shown: FeatureMap) -> str:
    height, width = shown.values.shape
    return f'{shown.channels}×{height}×{width}, stride {shown.stride}'


def _scale(shown: FeatureMap) -> str:
    return f'0 to {shown.values.max():.3g}'


def _cell(
    page: _Page, top: float, i: int, shown: FeatureMap, above: str, below: str
) -> None:
    """Draw a map from 0 to its largest value, a line above and below."""
    axes = _frame(page, top, i, above, below)
    largest = float(shown.values.max()) or 1.0
    axes.imshow(
        shown.values, _COLOURS, vmin=0, vmax=largest, aspect='auto',
        interpolation='nearest',
    )  # fmt: skip


def _blank(
    page: _Page,
    top: float,
    i: int,
    text: str,
    above: str = '',
    below: str = '',
) -> None:
    axes = _frame(page, top, i, above, below)
    axes.set_facecolor(_EMPTY)
    axes.text(
        0.5, 0.5, text, transform=axes.transAxes, size=10.5, color=_QUIET,
        ha='center', va='center',
    )  # fmt: skip


def _frame(page: _Page, top: float, i: int, above: str, below: str) -> Axes:
    x, y = page.column(i), top + _ROW_TITLE + _LINE
    axes = page.axes(x, y, _CELL, page.cell_height)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    middle = x + _CELL / 2
    page.write(middle, y - _LINE / 2, above, size=8.5, ha='center')
    y += page.cell_height + _LINE / 2
    page.write(middle, y, below, size=8.5, ha='center', color=_QUIET)
    return axes


def _image(page: _Page, pixels: np.ndarray) -> None:
    height, width = pixels.shape[:2]
    top = page.row_top(0) + _ROW_TITLE + _LINE
    axes = page.axes(_MARGIN, top, _LEFT, page.cell_height)
    axes.imshow(pixels, interpolation='bicubic', aspect='equal')
    axes.set(anchor='NW')
    axes.set_axis_off()
    note = f'the input: 3×{height}×{width}'
    y = top - _LINE / 2
    page.write(_MARGIN, y, note, size=8.5)


def _footer(page: _Page) -> None:
    y = page.height - _MARGIN - _FOOTER / 2
    axes = page.axes(_MARGIN, y - 6, _LEFT, 12)
    bar = page.figure.colorbar(
        ScalarMappable(cmap=colormaps[_COLOURS]), axes,
        orientation='horizontal',
    )  # fmt: skip
    bar.set_ticks([0, 1], labels=['0', 'the largest'])
    bar.ax.tick_params(labelsize=8.5, length=2)
    page.write(
        _MARGIN + _LEFT + _GUTTER + 20,
        y,
        'Maps: mean absolute activation over the channels; each has its own '
        'scale, noted below it. Sizes are channels×height×width.',
        size=9.5,
        color=_QUIET,
    )
