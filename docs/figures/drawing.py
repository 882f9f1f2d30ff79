"""What the figures share: colours, boxes, arrows, and a row of stages."""

from collections.abc import Sequence

import matplotlib

matplotlib.use('Agg')

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

ASSISTANT, LEAD, SHARED, GREY = '#8fb8de', '#2f6db2', '#e9b44c', '#5b6570'
CONNECTION, LOSS = '#c8553d', '#6a994e'
WIDTHS = [1.5, 1.25, 1.0, 0.8]  # maps shrink from stage to stage
LEFT = [2.5, 4.55, 6.35, 7.9]


def canvas(height: float, low: float) -> tuple[Figure, Axes]:
    """Make an empty figure, 14 units wide, whose lower edge is ``low``."""
    figure = Figure(figsize=(13, height * 5.6 / 6))
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, 14), ylim=(low, low + height))
    ax.axis('off')
    return figure, ax


def box(ax, x, y, width, height, text, colour, dark=False, **style):
    """Draw a labelled rounded box with its lower left corner at (x, y)."""
    style = dict(edgecolor=GREY, linewidth=1.2) | style
    ax.add_patch(
        FancyBboxPatch(
            (x, y),
            width,
            height,
            boxstyle='round,pad=0,rounding_size=0.12',
            facecolor=colour,
            **style,
        )
    )
    ax.text(
        x + width / 2,
        y + height / 2,
        text,
        ha='center',
        va='center',
        fontsize=12,
        color='white' if dark else 'black',
    )


def arrow(ax, start, end, colour=GREY, curve=0.0, **style):
    """Draw an arrow between two points."""
    ax.add_patch(
        FancyArrowPatch(
            start,
            end,
            arrowstyle='-|>',
            mutation_scale=13,
            color=colour,
            linewidth=1.5,
            connectionstyle=f'arc3,rad={curve}',
            shrinkA=0,
            shrinkB=0,
            **style,
        )
    )


def stages(
    ax: Axes, y: float, names: Sequence[str], colour: str, dark: bool, **style
) -> None:
    """Draw the stages of one member at height ``y``, left to right."""
    for i, (x, width) in enumerate(zip(LEFT, WIDTHS, strict=True)):
        box(ax, x, y, width, 0.8, names[i], colour, dark, **style)
        if i:
            before = LEFT[i - 1] + WIDTHS[i - 1]
            arrow(ax, (before, y + 0.4), (x, y + 0.4))
    arrow(ax, (1.75, y + 0.4), (LEFT[0], y + 0.4))


def dense_edges(ax: Axes, top: float, bottom: float, **style) -> None:
    """Draw dense higher-level connections: source stage >= target stage."""
    for target, x in enumerate(LEFT):
        for source in range(target, 4):
            start = (LEFT[source] + WIDTHS[source] / 2, top)
            ax.plot(
                *zip(start, (x - 0.22, bottom + 1.15), strict=True),
                color=CONNECTION,
                linewidth=1.1,
                alpha=0.75,
                **style,
            )
        arrow(
            ax,
            (x - 0.22, bottom + 1.15),
            (x - 0.22, bottom + 0.42),
            CONNECTION,
        )
