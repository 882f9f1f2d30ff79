"""What a battle says, of runs whose results are known.

1. AP, spread, differences and intervals are those of the runs; entries that
   are equal are inside the noise, and so is everything with one seed.
2. z-scores are means over tasks; the front has what nothing beats.
3. The words name the best entry, those that cannot be told from it, the
   cheapest of them, and what failed.
4. They name the entries that override their config, and how.
5. Runs with other numbers of samples are compared by those that they share.
6. A data set that lacks an entry is left out of means, unless it failed there;
   the words say so, and which entry chose from fewer rates than others.
7. Tables and the page hold every entry, whatever its name is; the page needs
   no network.
"""

import csv
import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

from cbnet.battle.charts import charts
from cbnet.battle.entry_result import read_entry_result
from cbnet.battle.figures import write_figures
from cbnet.battle.manifest import read_manifest, write_manifest
from cbnet.battle.pictures import pictures
from cbnet.battle.report import write_page, write_tables
from cbnet.battle.results import Difference, collect
from cbnet.battle.run_folders import (
    note_choice,
    note_failure,
    seed_folders,
)
from cbnet.battle.tables import as_markdown, rows
from cbnet.battle.words import paragraphs

from .made_battle import ENTRIES, make_battle


@pytest.fixture(scope='module')
def made(tiny_coco, tmp_path_factory):
    folder = tmp_path_factory.mktemp('battle')
    data = make_battle(folder, [tiny_coco.root], ENTRIES, range(3))
    return folder, data[0]


def test_differences(made):
    folder, data = made
    results = collect(folder)
    assert results.reference == 'base' and results.kinds == ['box', 'mask']
    base, good = (results.results[data.name, n] for n in ('base', 'good'))
    assert good.mean('box AP') > base.mean('box AP') > 0
    found = results.difference(data.name, 'good', 'base', 'box')
    apart = good.mean('box AP') - base.mean('box AP')
    assert found.mean == pytest.approx(apart)
    drawn = [
        np.mean([one.samples['box'] for one in entry.seeds.values()], 0)
        for entry in (good, base)
    ]
    ends = np.percentile(drawn[0] - drawn[1], [2.5, 97.5])
    assert [found.low, found.high] == pytest.approx(ends.tolist())
    assert 0 < found.low < found.high
    twin = results.difference(data.name, 'twin </script>', 'good', 'box')
    assert (twin.mean, twin.low, twin.high, twin.noise) == (0, 0, 0, True)
    assert results.difference(data.name, 'broken', 'base', 'box') is None
    assert (base.taken('seconds'), base.taken('energy')) == (51, None)
    assert set(base.classes('mask')) == {'square', 'triangle'}


@pytest.mark.parametrize(
    ('low', 'high', 'seeds', 'noise'),
    [
        (0.05, 0.2, 0.09, False),
        (0.05, 0.2, 0.11, True),
        (-0.05, 0.2, 0.09, True),
        (0.05, 0.2, None, True),
    ],
)
def test_noise(low, high, seeds, noise):
    assert Difference(0.1, low, high, seeds).noise == noise
    assert Difference(-0.1, -high, -low, seeds).noise == noise


def test_samples_without_objects(made):
    folder, data = made
    results = collect(folder)
    for figures in results.results[data.name, 'good'].seeds.values():
        figures.samples['box'] = np.full(50, np.nan)
    assert results.difference(data.name, 'good', 'base', 'box') is None


def test_copies_of_runs_are_no_runs(tmp_path):
    note_choice(tmp_path, 1e-3, {})
    for name in ('seed-10', 'seed-2', 'seed-2 (copy)', 'seed-old'):
        (tmp_path / 'lr-0.001' / name).mkdir(parents=True)
    note_failure(tmp_path / 'lr-0.001' / 'seed-old', 'of before')
    found = read_entry_result(tmp_path, 'mine', 'a')
    assert not found.seeds and not found.failed
    assert [*seed_folders(tmp_path / 'lr-0.001')] == [2, 10]


def test_one_seed_is_noise(tiny_coco, tmp_path):
    entries = {name: ENTRIES[name] for name in ('base', 'good')}
    make_battle(tmp_path, [tiny_coco.root], entries, seeds=[0])
    results = collect(tmp_path, 'good')
    (data,) = results.datas
    found = results.difference(data, 'base', 'good', 'box')
    assert found.mean < 0 and found.seeds is None and found.noise


def test_scores_and_fronts(made):
    folder, data = made
    results = collect(folder)
    z = results.z_scores()
    assert set(z) == {'base', 'good', 'twin </script>', 'bad'}
    tasks = []
    for kind in ('box AP', 'mask AP'):
        values = [results.results[data.name, n].mean(kind) for n in z]
        apart = np.array(values) - np.mean(values)
        tasks.append(apart / (np.std(values) or 1))
    assert list(z.values()) == pytest.approx(np.mean(tasks, 0).tolist())
    assert z['good'] == z['twin </script>'] > z['base'] > z['bad']
    assert results.front('parameters') == ['base', 'good']
    assert results.front('latency') == ['base', 'twin </script>']


def test_words(made):
    text = ' '.join(paragraphs(collect(made[0])))
    assert 'good has the best box AP' in text
    assert 'cannot be told from it: twin </script>.' in text
    assert 'Of them, twin </script> is the cheapest to use' in text
    assert 'ms an image on, base' in text
    assert 'M parameters on, good' in text
    assert '3 runs of broken' in text and 'failed: iteration 7: loss' in text


def test_an_entry_whose_detections_are_gone_has_no_pictures(made, tmp_path):
    folder = tmp_path / 'battle'
    shutil.copytree(made[0], folder)
    for file in (folder / 'runs').glob('*/good/**/results.*.json'):
        file.unlink()
    image_dirs = {made[1].name: made[1].splits['test'].images}
    rows_of = [*pictures(collect(folder), folder, image_dirs)]
    assert rows_of
    for _, drawn in rows_of:
        names = {one.caption.rpartition(':')[0] for one in drawn}
        assert 'base' in names and 'good' not in names


@pytest.mark.parametrize('number', [20, 200])
def test_other_numbers_of_samples(made, tmp_path, number):
    folder = tmp_path / 'battle'
    shutil.copytree(made[0], folder)
    data = made[1]
    want = collect(folder).difference(data.name, 'good', 'base', 'box')
    for test in folder.glob('runs/*/good/lr-*/seed-*/test'):
        write_figures(test, data.splits['test'].annotations, number)
    results = collect(folder)
    found = results.difference(data.name, 'good', 'base', 'box')
    assert (found.mean, found.seeds) == (want.mean, want.seeds)
    if number > 50:  # the samples of the others
        assert found == want
    assert found.low <= found.mean <= found.high
    assert rows(results)
    for file in folder.glob('runs/*/good/lr-*/seed-0/test/samples.npz'):
        file.unlink()
    assert collect(folder).difference(data.name, 'good', 'base', 'box') is None


def test_data_that_are_unfinished(tiny_coco, tmp_path):
    roots = [tmp_path / name for name in ('first', 'second')]
    for root in roots:
        shutil.copytree(tiny_coco.root, root)
    entries = {
        name: ENTRIES[name] for name in ('base', 'good', 'bad', 'broken')
    }
    make_battle(tmp_path / 'out', roots, entries)
    results = collect(tmp_path / 'out')
    assert results.finished == ['first', 'second']
    assert 'left out' not in ' '.join(paragraphs(results))
    # An entry that failed makes a data set no less finished.
    shutil.rmtree(tmp_path / 'out/runs/second/bad')
    run = tmp_path / 'out/runs/second/bad/lr-0.001/seed-0'
    note_failure(run, 'loss is nan')
    results = collect(tmp_path / 'out')
    assert results.finished == ['first', 'second']
    assert set(results.z_scores()) == {'base', 'good'}
    shutil.rmtree(tmp_path / 'out/runs/second/good')
    one = collect(tmp_path / 'out')
    assert one.unfinished == dict(second=['good'])
    assert set(one.z_scores()) == {'base', 'good', 'bad'}
    first = one.results['first', 'good'].mean('box AP')
    assert one.overall('good') == first and 'good' in one.front('macs')
    text = ' '.join(paragraphs(one))
    assert 'second is left out of the mean AP, the z-scores and the' in text
    assert 'until it has results of: good.' in text
    # Without any run, a data set is no other case.
    shutil.rmtree(tmp_path / 'out/runs/second')
    two = collect(tmp_path / 'out')
    assert two.z_scores() == pytest.approx(one.z_scores())
    assert two.front('macs') == one.front('macs')


def test_rates_and_the_reference_of_the_manifest(tiny_coco, tmp_path):
    entries = {name: ENTRIES[name] for name in ('base', 'good')}
    make_battle(tmp_path, [tiny_coco.root], entries)
    kept = dict(lrs=[1e-3, 3e-3], reference='good')
    write_manifest(tmp_path, read_manifest(tmp_path) | kept)
    data = collect(tmp_path).datas[0]
    (tmp_path / f'runs/{data}/good/lr-0.003/seed-0').mkdir(parents=True)
    results = collect(tmp_path)
    assert results.reference == 'good'
    assert collect(tmp_path, 'base').reference == 'base'
    text = ' '.join(paragraphs(results))
    assert f'base on {data} has not tried all learning rates' in text
    assert 'good on' not in text and 'chose from: 0.003' in text


@pytest.mark.parametrize(
    ('latencies', 'cheapest'),
    [((0.1, 0.09), 'twin </script>'), ((0.1, 0.099), 'good')],
)
def test_latencies_that_are_nearly_equal(made, latencies, cheapest):
    results = collect(made[0])
    for name, latency, macs in zip(
        ('good', 'twin </script>'), latencies, (1, 2), strict=True
    ):
        cost = results.costs[name]
        results.costs[name] = replace(cost, latency=latency, macs=macs)
    text = ' '.join(paragraphs(results))
    assert 'good has the best box AP' in text
    if cheapest == 'good':  # it is the best, too
        assert 'Of them,' not in text
    else:
        assert f'Of them, {cheapest} is' in text


def test_an_entry_that_overrides_its_config(made):
    results = collect(made[0])
    assert 'overrides its config' not in ' '.join(paragraphs(results))
    results.manifest['entries']['good']['changes'] = {'model.a': {'b': 0.1}}
    sentence = (
        'good overrides its config, which the other entries do not share: '
        "model.a={'b': 0.1}."
    )
    assert sentence in paragraphs(results)
    assert sentence in as_markdown(results)


def test_tables_and_page(made, tmp_path):
    folder, data = made
    results = collect(folder)
    md, table, content = write_tables(results, tmp_path)
    with table.open() as file:
        found = {row['entry']: row for row in csv.DictReader(file)}
    assert list(found) == list(ENTRIES)
    assert 'loss is nan' in found['broken']['failed']
    assert found['base']['box AP difference'] == ''
    assert found['bad']['box AP inside noise'] in ('True', 'False')
    for name, ap in results.results[data.name, 'bad'].classes('box').items():
        assert found['bad'][f'box AP of {name}'] == str(ap)
    assert json.loads(content.read_text())['fronts']['latency']
    assert '| twin </script> ' in md.read_text()

    images = {data.name: data.splits['test'].images}
    page = write_page(results, folder, images).read_text()
    assert 'twin &lt;/script&gt;' in page
    # Without a value, a browser would shorten spaces in the name.
    assert f'<option value="{data.name}">' in page
    # The page shows the half interval that decides what is noise.
    found = results.difference(data.name, 'bad', 'base', 'box')
    assert f'data-value="{found.seeds}">{found.seeds:.3f}</td>' in page
    head, row = (
        part.count('</td>') + part.count('</th>')
        for part in re.findall(r'<tr>.*?</tr>', page, re.S)[:2]
    )
    assert head == row and '>seeds ±</button>' in page
    # Scripts hold no end of a script but their own.
    scripts = re.findall(r'<script[^>]*>(.*?)</script>', page, re.S)
    assert len(scripts) == 3
    figures = json.loads(scripts[1])
    assert len(figures) == len([*charts(results)]) == 3 + 2 + 1 + 2
    assert page.count('data:image/jpeg;base64,') == 2 * 5
    markup = re.sub(r'<script[^>]*>.*?</script>', '', page, flags=re.S)
    assert not re.search(r'(src|href)="(?!data:image|#)', markup)
    assert 'http' not in markup
