"""The tool that compares whole evaluations, with stand-ins for them.

1. Candidates take turns in both orders; the tables have the medians, the
   ratios to the first candidate, and whether the detections are the same.
2. Only files of detections that a candidate itself has written count; one
   that writes none, or fails, is named.
"""

import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

TOOL = Path(__file__).parents[2] / 'tools/analysis_tools/testing_speed.py'
NAMES = ['mmdet', 'cbnet test']


@pytest.fixture
def tool(monkeypatch):
    spec = importlib.util.spec_from_file_location('testing_speed_tool', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, 'prepare', lambda: None)
    return module


@pytest.fixture
def arguments(tool, tmp_path):
    out = str(tmp_path / 'speed')
    given = ['my.py', 'my.pth', '--rounds', '3', '--out', out]
    return tool.make_parser().parse_args([*given, '--candidates', *NAMES])


def test_the_tables(tool, arguments, tmp_path, monkeypatch):
    order = []

    def run(name, args, folder):
        order.append(name)
        mine = 1 + NAMES.index(name)
        return 8 / mine, 4 / mine, [b'found'], dict(reading=1.0 * mine)

    monkeypatch.setattr(tool, 'run', run)
    tool.main(arguments)
    assert order == [*NAMES, *NAMES[::-1], *NAMES]
    rows = json.loads((tmp_path / 'speed.json').read_text())
    assert [row['name'] for row in rows] == NAMES
    assert rows[1]['cpu']['seconds'] == [4.0] * 3
    assert rows[1]['wall']['ratio']['median'] == 2.0
    assert [row['equal'] for row in rows] == [True, True]
    text = (tmp_path / 'speed.md').read_text()
    line = '| cbnet test | 4.0 | 2.00 (2.00 to 2.00) | 2.0 | 2.00 (2.00 to'
    assert line in text and '| reading | 1.00 | 2.00 |' in text


@pytest.mark.parametrize(
    ('status', 'said'),
    [(0, 'mmdet: it has written no detections'), (1, 'mmdet: no such config')],
)
def test_a_candidate_without_detections(
    tool, arguments, tmp_path, monkeypatch, status, said
):
    (tmp_path / 'found.bbox.json').write_text('of another candidate')
    (tmp_path / 'parts.json').write_text('[{}, [0, 0]]')
    done = SimpleNamespace(returncode=status, stderr='no such config')
    monkeypatch.setattr(tool.subprocess, 'run', lambda *_, **__: done)
    arguments.environment = {}
    with pytest.raises(SystemExit, match=said):
        tool.run('mmdet', arguments, str(tmp_path))
