"""The charts with names along an axis show each of them.

Names that look like numbers are names, too, and many rows make a high chart.
Of what a browser reads as more than text, plotly.js knows few ways to write.
"""

import json
import re
import shutil

import pytest

from cbnet.battle.charts import charts
from cbnet.battle.report import write_page
from cbnet.battle.results import collect

from .made_battle import cost, make_battle

CLASSES = '10', '200'
QUOTED = 'A(b="c<d")'


@pytest.fixture
def folder(tiny_coco, tmp_path):
    """Make a battle of 20 entries, with classes that are numbers."""
    root = tmp_path / 'numbers'
    shutil.copytree(tiny_coco.root, root)
    for file in root.glob('*.json'):
        content = json.loads(file.read_text())
        for category, name in zip(content['categories'], CLASSES, strict=True):
            category['name'] = name
        file.write_text(json.dumps(content))
    names = [*map(str, range(20)), QUOTED]
    entries = {name: (1.0, cost(10)) for name in names}
    make_battle(tmp_path / 'out', [root], entries, [0], samples=2)
    return tmp_path / 'out'


def test_names(folder):
    results = collect(folder)
    drawn = [*charts(results)]
    page = write_page(results, folder, {}).read_text()
    heights = re.findall(r'data-height="(\d+)"', page)
    assert [*map(int, heights)] == [one.height for one in drawn]
    named = [one for one in drawn if one.height]
    assert len(named) == 4  # differences and classes, boxes and masks
    for one in named:
        axis, rows = one.figure['layout']['yaxis'], one.figure['data'][0]['y']
        assert axis['type'] == 'category' and axis['dtick'] == 1
        # 19 bars, or a line of text for each name
        least = 19 * 3 if tuple(rows) == CLASSES else 16
        assert one.height >= least * len(rows)
    shown = json.dumps([one.figure for one in drawn])
    assert 'c&lt;d' in shown and '&quot;' not in shown
