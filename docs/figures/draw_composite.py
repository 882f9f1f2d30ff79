"""Draw composite.svg: two members, their connections, the shared head.

Run from anywhere: ``python docs/figures/draw_composite.py``.
"""

from pathlib import Path

from drawing import (
    ASSISTANT,
    CONNECTION,
    GREY,
    LEAD,
    LEFT,
    LOSS,
    SHARED,
    arrow,
    box,
    canvas,
    dense_edges,
    stages,
)


def member(ax, y, title, colour, dark):
    """Draw the stages of one member at height ``y``, with a title."""
    stages(ax, y, [f'stage {i}' for i in range(4)], colour, dark)
    ax.text(
        LEFT[0], y + (1.0 if y > 2 else -0.35), title, fontsize=13, color=GREY
    )


def main() -> None:
    """Write the figure beside this file."""
    figure, ax = canvas(height=6, low=-0.6)
    top, bottom = 3.6, 0.6

    box(ax, 0.05, 2.1, 0.75, 0.8, 'image', 'white')
    box(ax, 1.0, 2.1, 0.75, 0.8, 'stem', SHARED)
    arrow(ax, (0.8, 2.5), (1.0, 2.5))
    for y in (top, bottom):
        ax.plot([1.75, 1.75], [2.5, y + 0.4], color=GREY, linewidth=1.5)
    member(ax, top, 'member 0: assistant', ASSISTANT, dark=False)
    member(ax, bottom, 'member 1: lead', LEAD, dark=True)

    dense_edges(ax, top, bottom)
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
