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


def test_names_that_would_break_a_table():
    found = text_table(['a|b', 'two\nlines'], [['|', 1]])
    assert found.splitlines() == [
        r'| a\|b | two lines |',
        '|------|-----------|',
        r'| \|   |         1 |',
    ]


def test_as_many_columns_as_classes():
    names = [f'the class number {number}' for number in range(1500)]
    head, _, row = text_table(names, [range(1500)]).splitlines()
    assert [cell.strip() for cell in head.split('|')[1:-1]] == names
    assert [*map(int, row.split('|')[1:-1])] == [*range(1500)]
