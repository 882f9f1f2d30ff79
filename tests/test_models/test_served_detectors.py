"""The twins of mmdet's own detectors equal them, but for the assistance.

``make detectors`` (CBNET_DETECTORS=all) tries every config of the list and
writes docs/detectors.md; otherwise a fast subset is tried, in fewer steps,
whose rows must be those of the page.
"""

import json
import os

import pytest

from . import served_detectors
from .served_detectors import FAMILIES, FAST, PAGE, ROWS, examine, row_file

ALL = os.environ.get('CBNET_DETECTORS') == 'all'


def rows():
    lines = PAGE.read_text().splitlines()
    cells = [line.strip('|').split('|') for line in lines if line[:1] == '|']
    return {row[0].strip(): [cell.strip() for cell in row] for row in cells}


@pytest.mark.parametrize('name', FAMILIES if ALL else FAST)
def test_detector(name, monkeypatch):
    if not ALL:
        monkeypatch.setattr(served_detectors, 'STEPS', 2)
    row = examine(name)
    if ALL:
        ROWS.mkdir(parents=True, exist_ok=True)
        row_file(name).write_text(json.dumps(row))
    else:
        assert rows()[name] == row


def test_the_page_has_every_detector_of_the_list():
    assert FAMILIES.keys() <= rows().keys() or ALL
    assert sum(row[9] == 'yes' for row in rows().values()) >= 60 or ALL
