"""The evidence page says what its files hold, and claims nothing else.

1. The page of this repository agrees with its files, whose runs have costs.
2. A battle's runs are taken, and taken again without doubling; an entry
   without one is left out.
3. Differences are paired over seeds; what is inside the noise, or was run
   with one seed, is not claimed.
4. Each difference with an interval in the words of the page is one of those
   that the files give.
5. The AP is drawn against the time of training where both are known.
6. A file with other columns, and a page without a block, are refused.
"""

import re
from itertools import product
from pathlib import Path

import pytest
from evidence_page.figures import (
    KINDS,
    Evidence,
    add_battle,
    read_evidence,
)
from evidence_page.page import (
    draw_study,
    draw_times,
    find_stale,
    study_table,
    words,
)

from ..test_battle.made_battle import cost, make_battle

DOCS = Path(__file__).parents[2] / 'docs'


def test_this_repository():
    evidence = read_evidence(DOCS / 'evidence')
    assert evidence.runs and not find_stale(evidence, DOCS)
    for row in evidence.runs:
        assert row['entry'] in evidence.entries(row['study'])


def test_differences_in_the_words_of_the_page():
    evidence = read_evidence(DOCS / 'evidence')
    known = set()
    for study in evidence.studies():
        entries = evidence.entries(study)
        for data, kind, one, other in product(
            evidence.datas(study), KINDS, entries, entries
        ):
            figure = f'{kind} AP'
            found = evidence.difference(study, data, one, figure, other)
            if found and found[1] is not None:
                known.add(f'{abs(found[0]):.3f} ± {found[1]:.3f} {kind}')
    page = (DOCS / 'evidence.md').read_text()
    blocks = r'<!-- evidence: .*?<!-- end of evidence: [^>]*-->'
    prose = ' '.join(re.sub(blocks, '', page, flags=re.S).split())
    said = re.findall(
        r'(\d\.\d+ ± \d\.\d+)(?: more)? ((?:box|mask)|than)', prose
    )
    assert len(said) == prose.count('±') and len(said) > 8
    for figures, kind in said:
        kinds = KINDS if kind == 'than' else [kind]
        assert any(f'{figures} {one}' in known for one in kinds), figures


@pytest.fixture
def taken(tiny_coco, tmp_path):
    entries = {
        'base': (4.0, cost(10)), 'good': (1.0, cost(20)),
        'broken': (None, cost(5)),
    }  # fmt: skip
    battle = tmp_path / 'battle'
    data, = make_battle(battle, [tiny_coco.root], entries)  # fmt: skip
    for _ in range(2):
        assert add_battle(battle, 'trial', tmp_path / 'evidence') == 4
    return tmp_path, data.name


def test_a_battle(taken):
    folder, data = taken
    evidence = read_evidence(folder / 'evidence')
    assert len(evidence.runs) == 4 and evidence.studies() == ['trial']
    assert evidence.entries('trial') == ['base', 'good']
    assert evidence.cost('trial', 'good') == dict(
        parameters=20e6, trained=20e6, macs=20e9
    )
    better, half = evidence.difference('trial', data, 'good', 'box AP')
    assert better > 0 and half > 0
    table = study_table(evidence, 'trial', data)
    assert '20.00' in table and f'{better:+.3f}' in table
    assert len(draw_study(evidence, 'trial').axes) == 1
    page = folder / 'evidence.md'
    page.write_text('nothing\n')
    with pytest.raises(ValueError, match='evidence.md: expected one block'):
        find_stale(evidence, folder)


def made(**values):
    """Make evidence of entries by their box AP for each seed."""
    runs = [
        {'study': 's', 'data': 'd', 'entry': entry, 'seed': str(seed)}
        | {'box AP': str(value), 'mask AP': ''}
        for entry, aps in values.items()
        for seed, value in enumerate(aps)
    ]
    costs = [dict(study='s', entry=entry, macs='') for entry in values]
    return Evidence(runs, costs)


def test_claims():
    found = made(
        base=[0.1, 0.2, 0.3], shifted=[0.15, 0.25, 0.351],
        wild=[0.3, 0.2, 0.25], worse=[0.05, 0.15, 0.251],
    )  # fmt: skip
    mean, half = found.difference('s', 'd', 'shifted', 'box AP')
    assert mean == pytest.approx(0.05 + 0.001 / 3) and half < 0.002
    assert words(found, 's', 'd') == (
        'In box AP, these differ from base by more than the interval over '
        'the seeds: shifted (+0.050), worse (-0.050). All others are inside '
        'the noise.'
    )
    assert words(found, 's', 'd', 'shifted').startswith(
        'In box AP, these differ from shifted by more than the interval '
        'over the seeds: base (-0.050), worse (-0.100).'
    )
    one = made(base=[0.1], other=[0.9])
    assert 'every difference to base is inside' in words(one, 's', 'd')


def test_other_columns(tmp_path):
    (tmp_path / 'runs.csv').write_text('a,b\n1,2\n')
    with pytest.raises(ValueError, match=r'runs.csv: found the columns'):
        read_evidence(tmp_path)


def test_times():
    found = made(base=[0.1, 0.2], long=[0.3], unknown=[0.4])
    for row, budget in zip(
        found.runs, ('20it', '20it', '50it', '50it'), strict=True
    ):
        row['budget'] = budget
    for row, step in zip(found.costs, ('0.5', '0.25', ''), strict=True):
        row |= dict(step=step, parameters='', trained='')
    assert found.seconds('s', 'base') == 10
    assert found.seconds('s', 'long') == 12.5
    assert found.seconds('s', 'unknown') is None
    box, _ = draw_times(found, 's').axes
    places = [bars[0].get_xydata().tolist() for bars in box.containers]
    assert places == [[[1, pytest.approx(0.15)]], [[1.25, 0.3]]]
