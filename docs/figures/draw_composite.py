"""Draw composite.svg: two members, their connections, the shared head.

Run from anywhere: ``python docs/figures/draw_composite.py``.
"""

from pathlib import Path

import matplotlib

matplotlib.use('Agg')

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

ASSISTANT, LEAD, SHARED, GREY = '#8fb8de', '#2f6db2', '#e9b44c', '#5b6570'
CONNECTION, LOSS = '#c8553d', '#6a994e'
WIDTHS = [1.5, 1.25, 1.0, 0.8]  # maps shrink from stage to stage
LEFT = [2.5, 4.55, 6.35, 7.9]


def box(ax, x, y, width, height, text, colour, dark=False, **style):
    """Draw a labelled rounded box with its lower left corner at (x, y)."""
    ax.add_patch(
        FancyBboxPatch(
            (x, y),
            width,
            height,
            boxstyle='round,pad=0,rounding_size=0.12',
            facecolor=colour,
            edgecolor=GREY,
            linewidth=1.2,
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


def member(ax, y, title, colour, dark):
    """Draw the stages of one member at height ``y``."""
    for i, (x, width) in enumerate(zip(LEFT, WIDTHS, strict=True)):
        box(ax, x, y, width, 0.8, f'stage {i}', colour, dark)
        if i:
            before = LEFT[i - 1] + WIDTHS[i - 1]
            arrow(ax, (before, y + 0.4), (x, y + 0.4))
    arrow(ax, (1.75, y + 0.4), (LEFT[0], y + 0.4))
    ax.text(
        LEFT[0], y + (1.0 if y > 2 else -0.35), title, fontsize=13, color=GREY
    )


def main() -> None:
    """Write the figure beside this file."""
    figure = Figure(figsize=(13, 5.6))
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, 14), ylim=(-0.6, 5.4))
    ax.axis('off')
    top, bottom = 3.6, 0.6

    box(ax, 0.05, 2.1, 0.75, 0.8, 'image', 'white')
    box(ax, 1.0, 2.1, 0.75, 0.8, 'stem', SHARED)
    arrow(ax, (0.8, 2.5), (1.0, 2.5))
    for y in (top, bottom):
        ax.plot([1.75, 1.75], [2.5, y + 0.4], color=GREY, linewidth=1.5)
    member(ax, top, 'member 0: assistant', ASSISTANT, dark=False)
    member(ax, bottom, 'member 1: lead', LEAD, dark=True)

    # Dense higher-level connections: source stage >= target stage.
    for target, x in enumerate(LEFT):
        for source in range(target, 4):
            start = (LEFT[source] + WIDTHS[source] / 2, top)
            ax.plot(
                *zip(start, (x - 0.22, bottom + 1.15), strict=True),
                color=CONNECTION,
                linewidth=1.1,
                alpha=0.75,
            )
        arrow(
            ax,
            (x - 0.22, bottom + 1.15),
            (x - 0.22, bottom + 0.42),
            CONNECTION,
        )
    ax.text(
        8.05,
        2.2,
        'connection\n(style dhlc)',
        fontsize=12,
        color=CONNECTION,
    )

    box(ax, 9.6, 2.1, 1.35, 0.8, 'neck', SHARED)
    box(ax, 11.2, 2.1, 1.35, 0.8, 'heads', SHARED)
    arrow(ax, (10.95, 2.5), (11.2, 2.5))
    arrow(ax, (8.7, bottom + 0.4), (9.95, 2.1), LEAD, 0.25)
    dashed = dict(linestyle=(0, (4, 3)))
    arrow(ax, (8.7, top + 0.4), (9.95, 2.9), ASSISTANT, -0.25, **dashed)
    arrow(ax, (12.55, 2.35), (13.0, 1.55), LEAD)
    arrow(ax, (12.55, 2.65), (13.0, 3.45), ASSISTANT, **dashed)
    ax.text(9.15, bottom - 0.3, 'pyramid', fontsize=12, color=LEAD)
    ax.text(
        13.05, 1.2, 'detections,\nloss', fontsize=12, ha='center', va='center'
    )
    ax.text(
        12.7,
        3.95,
        r'$w_0 \times$ loss, in training' + '\nonly: assistance',
        fontsize=12,
        ha='center',
        va='center',
        color=LOSS,
    )
    figure.savefig(Path(__file__).with_name('composite.svg'))


if __name__ == '__main__':
    main()
