"""What the charts of a battle's report share."""

from dataclasses import dataclass
from html import escape
from typing import Any

from .results import Results

COLOURS = (
    '#4477AA', '#EE6677', '#228833', '#CCBB44', '#66CCEE', '#AA3377',
    '#EE7733', '#009988',
)  # fmt: skip
_MARKS = 'circle', 'square', 'diamond', 'triangle-up', 'x', 'star'
#: the axis of differences between APs
DIFFERENCE = dict(
    tickformat='+.3~g', exponentformat='none', minallowed=-1, maxallowed=1
)
#: the axis of names, one in each row, also where they look like numbers
NAMES = dict(type='category', dtick=1, autorange='reversed')
_ROW, _BAR, _GAP = 20, 4, 6  # pixels


@dataclass(frozen=True)
class Chart:
    """A chart of the report.

    Attributes:
        title: its heading.
        caption: what it shows, in words.
        figure: its ``data`` and ``layout``, as plotly.js takes them.
        height: the least height between its axes, in pixels.
    """

    title: str
    caption: str
    figure: dict[str, Any]
    height: int = 0


def height_of(rows: int, bars: int = 0) -> int:
    """Give the height that shows each name, and each of its bars."""
    return rows * max(_ROW, _BAR * bars + _GAP)


def look(results: Results, entry: str) -> dict[str, Any]:
    """Give the colour and the mark of an entry, the same in all charts."""
    place = results.entries.index(entry)
    return dict(
        color=COLOURS[place % len(COLOURS)],
        symbol=_MARKS[place // len(COLOURS) % len(_MARKS)],
    )


def plain(name: str) -> str:
    """Spell a name so that plotly.js shows it as it is.

    It reads tags, and few entities: that of a quote would be shown as such.
    """
    return escape(name, quote=False)
