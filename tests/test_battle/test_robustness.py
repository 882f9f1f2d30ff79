"""What a battle says of corrupted images, of runs whose results are known.

1. The figures are means over corruptions, levels and seeds, and relative to
   the clean AP of the same seeds. An entry that lacks a condition that
   another one has, has no figures yet.
2. Tables, page and words hold them, and only if there are any.
"""

import csv
import json
from statistics import fmean, stdev

import pytest

from cbnet.battle.charts import charts
from cbnet.battle.corruptions import Condition
from cbnet.battle.report import write_page, write_tables
from cbnet.battle.results import collect
from cbnet.battle.run_folders import run_folder
from cbnet.battle.words import paragraphs

from .made_battle import cost, make_battle

LOST = {
    Condition('snow', 1): 0.9,
    Condition('snow', 3): 0.5,
    Condition('fog', 1): 0.8,
    Condition('fog', 3): 0.4,
}


def corrupt(folder, data, entry, seed, left):
    """Leave figures on corrupted images, by what is left of the clean AP."""
    runs = folder / 'runs' / data.name / entry
    run = run_folder(runs, 1e-3, seed)
    clean = json.loads((run / 'test' / 'figures.json').read_text())
    for condition, part in left.items():
        figures = {
            name: value and value * part * (1 - seed / 10)
            for name, value in clean['figures'].items()
        }
        place = run / condition.folder
        place.mkdir(parents=True)
        content = dict(figures=figures, classes={})
        (place / 'figures.json').write_text(json.dumps(content))


@pytest.fixture(scope='module')
def made(tiny_coco, tmp_path_factory):
    folder = tmp_path_factory.mktemp('battle')
    entries = {name: (1.0, cost(10, 10)) for name in ('all', 'some', 'none')}
    (data,) = make_battle(folder, [tiny_coco.root], entries, range(3))
    corrupt(folder, data, 'all', 0, LOST)
    corrupt(folder, data, 'all', 1, LOST)
    less = [*LOST.items()][:3]
    corrupt(folder, data, 'all', 2, dict(less))
    corrupt(folder, data, 'some', 0, dict(less))
    return folder, data


def test_robustness(made):
    folder, data = made
    results = collect(folder)
    assert results.corruptions == ['snow', 'fog']
    assert set(results.conditions(data.name)) == set(LOST)
    found = results.robustness(data.name, 'all', 'box')
    seeds = results.results[data.name, 'all'].seeds
    clean = [seeds[seed].figures['box AP'] for seed in (0, 1)]
    left = [clean[0] * 0.65, clean[1] * 0.9 * 0.65]
    assert found.clean == pytest.approx(fmean(clean))
    assert found.corrupted == pytest.approx(fmean(left))
    assert found.spread == pytest.approx(stdev(left))
    assert found.relative == pytest.approx(sum(left) / sum(clean))
    ends = {
        name: ap / found.corrupted for name, ap in found.corruptions.items()
    }
    assert ends == pytest.approx({'snow': 0.7 / 0.65, 'fog': 0.6 / 0.65})
    for other in ('some', 'none'):
        assert results.robustness(data.name, other, 'box') is None


def test_what_is_written(made, tmp_path):
    folder, data = made
    results = collect(folder)
    found = results.robustness(data.name, 'all', 'box')
    md, table, content = write_tables(results, tmp_path)
    with table.open() as file:
        rows = {row['entry']: row for row in csv.DictReader(file)}
    shown = rows['all']
    assert float(shown['box relative robustness']) == found.relative
    assert float(shown['box AP corrupted']) == found.corrupted
    assert float(shown['box AP fog']) == found.corruptions['fog']
    assert rows['some']['box AP fog'] == ''
    content = json.loads(content.read_text())
    run = next(one for one in content['runs'] if one['entry'] == 'some')
    assert len(content['conditions'][data.name]) == 4
    assert [
        (one['corruption'], one['severity']) for one in run['corrupted']
    ] == [('fog', 1), ('snow', 1), ('snow', 3)]
    assert 'box AP on corrupted images' in md.read_text()
    said = ' '.join(paragraphs(results))
    assert '(2 corruptions, 4 evaluations of each training)' in said
    assert '% of the clean one)' in said and ' with fog.' in said
    chart = next(c for c in charts(results) if 'corrupted' in c.title)
    (bars,) = chart.figure['data']  # others have not been tried on all
    assert list(bars['y']) == ['as they are', 'snow', 'fog']
    assert bars['x'][0] == found.clean and bars['name'] == 'all'
    assert list(bars['x'][1:]) == [*found.corruptions.values()]
    images = {data.name: data.splits['test'].images}
    page = write_page(results, folder, images).read_text()
    assert 'box robustness' in page


def test_nothing_was_corrupted(tiny_coco, tmp_path):
    make_battle(tmp_path, [tiny_coco.root], {'one': (1.0, cost(1))}, [0])
    files = write_tables(collect(tmp_path), tmp_path)
    assert not any('orrupted AP' in file.read_text() for file in files)
    assert not any('robustness' in file.read_text() for file in files)
