"""Tables as text: aligned, never cut or wrapped, and free of markup."""

from cbnet.text_tables import text_table


def test_a_table():
    found = text_table(
        ['name', 'number [M]', 'kind'],
        [['a [b]', 1, 'x'], ['c', None, 'yy']],
        footer=['sum', 12, ''],
        left=(0, 2),
    )
    assert found.splitlines() == [
        '| name  | number [M] | kind |',
        '|-------|------------|------|',
        '| a [b] |          1 | x    |',
        '| c     |       None | yy   |',
        '|-------|------------|------|',
        '| sum   |         12 |      |',
    ]


def test_wide_cells_stay_whole():
    name = 'a long name ' * 30
    head, _, row = text_table(['name', 'number'], [[name, 1]]).splitlines()
    assert name in row
    assert len(head) == len(row)
