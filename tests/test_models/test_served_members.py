"""Registered means tested: every backbone of the list is tried as a member.

``make members`` (CBNET_MEMBERS=all) tries all of them and writes
docs/members.md; otherwise a fast subset is tried, whose rows must be those of
the page.
"""

import json
import os

import pytest

from .served_members import FAMILIES, FAST, MMDET, PAGE, ROWS, examine

ALL = os.environ.get('CBNET_MEMBERS') == 'all'
NAMES = [*MMDET, *FAMILIES] if ALL else [*MMDET, *FAST]


def rows():
    lines = PAGE.read_text().splitlines()
    cells = [line.strip().strip('|').split('|') for line in lines]
    return {c[0].strip('` '): c for c in cells if len(c) == 8}


@pytest.mark.parametrize('name', NAMES)
def test_member(name):
    row = examine(name)
    if ALL:
        ROWS.mkdir(parents=True, exist_ok=True)
        (ROWS / f'{name}.json').write_text(json.dumps(row))
    else:
        assert [cell.strip('` ') for cell in rows()[name]] == row


def test_the_page_has_every_backbone_of_the_list():
    assert {*FAMILIES, *MMDET} <= set(rows()) or ALL
    served = [
        name
        for name, row in rows().items()
        if name in FAMILIES and not row[-1].strip().startswith('refused')
    ]
    assert len(served) >= 140 or ALL
