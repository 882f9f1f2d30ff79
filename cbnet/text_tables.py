"""Tables as text, for terminals, logs and Markdown pages."""

from collections.abc import Container, Iterable, Sequence
from io import StringIO

from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table
from rich.text import Text

_WIDTH = 1_000_000  # more than any table, as rich cuts wider ones


def text_table(
    head: Sequence[str],
    rows: Iterable[Sequence[object]],
    footer: Sequence[object] = (),
    left: Container[int] = (0,),
) -> str:
    """Lay out a table, as wide as its cells need, each in one line.

    What would end a cell in Markdown has a backslash before it.

    Args:
        head: the headings of the columns.
        rows: the cells of each row.
        footer: the cells of a last row, set apart by a line; empty for none.
        left: the numbers of the columns that are aligned to the left.
    """
    table = Table(box=MARKDOWN, show_footer=bool(footer))
    for i, heading in enumerate(head):
        table.add_column(
            _cell(heading),
            _cell(footer[i]) if footer else '',
            justify='left' if i in left else 'right',
            no_wrap=True,
        )
    for row in rows:
        table.add_row(*map(_cell, row))
    console = Console(file=StringIO(), width=_WIDTH)
    console.print(table)
    return console.file.getvalue().strip()


def _cell(value: object) -> Text:
    line = ' '.join(str(value).splitlines())
    return Text(line.replace('|', r'\|'))
