"""Draw upgrade.svg: a trained detector, and a frozen assistant beside it.

Run from anywhere: ``python docs/figures/draw_upgrade.py``.
"""

from pathlib import Path

from drawing import (
    ASSISTANT,
    CONNECTION,
    GREY,
    LEAD,
    LEFT,
    arrow,
    box,
    canvas,
    dense_edges,
    stages,
)
from matplotlib.patches import Circle, FancyBboxPatch

TRAINED = '#e6eef8'  # the ground of the trained detector
TOP, BOTTOM = 3.6, 0.6


def ground(ax, x, y, width, height, colour, **style):
    """Draw a rounded area behind other things."""
    ax.add_patch(
        FancyBboxPatch(
            (x, y),
            width,
            height,
            boxstyle='round,pad=0,rounding_size=0.25',
            facecolor=colour,
            zorder=0,
            **style,
        )
    )


def main() -> None:
    """Write the figure beside this file."""
    figure, ax = canvas(height=5.6, low=-0.45)
    write = dict(fontsize=13, va='center')

    ground(ax, 1.3, -0.3, 11.1, 2.2, TRAINED, edgecolor=LEAD, linewidth=1.5)
    ax.text(
        LEFT[0], 0.15, 'your trained detector, with its weights', color=LEAD,
        **write,
    )  # fmt: skip
    stages(ax, BOTTOM, [f'stage {i}' for i in range(4)], LEAD, dark=True)
    box(ax, 9.35, BOTTOM, 1.2, 0.8, 'neck', LEAD, dark=True)
    box(ax, 11.05, BOTTOM, 1.2, 0.8, 'heads', LEAD, dark=True)
    arrow(ax, (8.7, BOTTOM + 0.4), (9.35, BOTTOM + 0.4))
    arrow(ax, (10.55, BOTTOM + 0.4), (11.05, BOTTOM + 0.4))
    arrow(ax, (12.25, BOTTOM + 0.4), (12.75, BOTTOM + 0.4), LEAD)
    ax.text(12.82, BOTTOM + 0.4, 'the same\ndetections', color=LEAD, **write)

    frozen = dict(linestyle=(0, (4, 2)), edgecolor=LEAD)
    names = ['blocks 0-2', '3-5', '6-8', '9-11']
    stages(ax, TOP, names, ASSISTANT, dark=False, **frozen)
    ax.text(LEFT[0] - 0.05, TOP + 1.2, '\N{SNOWFLAKE}', fontsize=24,
            va='center', color=LEAD)  # fmt: skip
    ax.text(
        LEFT[0] + 0.55, TOP + 1.2, 'frozen assistant, such as DINOv2: it is '
        'added, never trained', color=GREY, **write,
    )  # fmt: skip

    box(ax, 0.1, 2.1, 0.95, 0.8, 'image', 'white')
    for y in (TOP, BOTTOM):
        ax.plot([1.05, 1.55, 1.55, 1.8], [2.5, 2.5, y + 0.4, y + 0.4],
                color=GREY, linewidth=1.5)  # fmt: skip

    dense_edges(ax, TOP, BOTTOM)
    for x in LEFT:
        place = (x - 0.22, BOTTOM + 1.15)
        ax.add_patch(
            Circle(place, 0.2, facecolor='white', edgecolor=CONNECTION,
                   linewidth=1.5, zorder=5)
        )  # fmt: skip
        ax.text(*place, '0', ha='center', va='center', fontsize=13,
                color=CONNECTION, weight='bold', zorder=6)  # fmt: skip
    ax.text(
        9.2, 2.75, 'new connections: at the start they add 0,\nso no output '
        'changes; training goes on\nfrom there, and they learn',
        color=CONNECTION, **write,
    )  # fmt: skip
    figure.savefig(Path(__file__).with_name('upgrade.svg'))


if __name__ == '__main__':
    main()
