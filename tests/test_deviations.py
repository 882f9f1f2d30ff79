"""docs/deviations.md and the ``Deviation:`` tags of the code name the same."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def tags():
    """Yield each tag: the text from ``Deviation:`` to the end of its line."""
    for folder in ('cbnet', 'configs'):
        for path in sorted((ROOT / folder).rglob('*.py')):
            for line in path.read_text().splitlines():
                _, tag, text = line.partition('Deviation:')
                if tag:
                    yield path.relative_to(ROOT), text


def rows():
    """The first cells of the tables on the page."""
    page = (ROOT / 'docs/deviations.md').read_text()
    cells = re.findall(r'^\| (.+?) \|', page, re.MULTILINE)
    return [cell.replace('`', '') for cell in cells if cell != 'name']


def test_tags_begin_with_a_name():
    unnamed = [
        f'{path}: Deviation:{text}'
        for path, text in tags()
        if not re.match(r' \w[^.]+\.( |$)', text)
    ]
    assert not unnamed


def test_every_tag_has_a_row_and_every_row_a_tag():
    named = rows()
    assert len(named) == len(set(named)) >= 14
    assert set(named) == {text.partition('.')[0].strip() for _, text in tags()}
