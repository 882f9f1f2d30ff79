"""Tables as text, for terminals and logs; Markdown pages accept them too."""

from collections.abc import Container, Iterable, Sequence
from io import StringIO

from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table
from rich.text import Text


def text_table(
    head: Sequence[str],
    rows: Iterable[Sequence[object]],
    footer: Sequence[object] = (),
    left: Container[int] = (0,),
) -> str:
    """Lay out a table, as wide as its cells need.

    Args:
        head: the headings of the columns.
        rows: the cells of each row.
        footer: the cells of a last row, set apart by a line; empty for none.
        left: the numbers of the columns that are aligned to the left.
    """
    table = Table(box=MARKDOWN, show_footer=bool(footer))
    for i, heading in enumerate(head):
        table.add_column(
            Text(heading),
            Text(str(footer[i])) if footer else '',
            justify='left' if i in left else 'right',
            no_wrap=True,
        )
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    console = Console(file=StringIO(), width=10_000)
    console.print(table)
    return console.file.getvalue().strip()
