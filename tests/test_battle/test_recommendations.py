"""Nothing is recommended where a comparison is missing.

The words say which one, why, and what to do; what is known, they say.
"""

import shutil

import pytest

from cbnet.battle.results import collect
from cbnet.battle.words import paragraphs

from .made_battle import ENTRIES, make_battle


@pytest.fixture(scope='module')
def made(tiny_coco, tmp_path_factory):
    folder = tmp_path_factory.mktemp('battle')
    make_battle(folder, [tiny_coco.root], ENTRIES, range(3))
    return folder


@pytest.mark.parametrize(
    ('gone', 'which', 'lacking', 'advice'),
    [
        ('**/seed-[12]', 'the others', 'fewer than two seeds', 'train'),
        ('base/lr-*/seed-[12]', 'these', 'fewer than two seeds', 'train'),
        ('base/*/seed-0/test/samples.npz', 'these', 'no samples', 'repeat'),
    ],
)
def test_no_advice_without_a_comparison(
    made, tmp_path, gone, which, lacking, advice
):
    folder = tmp_path / 'battle'
    shutil.copytree(made, folder)
    for one in [*folder.glob(f'runs/*/{gone}')]:
        shutil.rmtree(one) if one.is_dir() else one.unlink()
    text = ' '.join(paragraphs(collect(folder)))
    assert 'good has the best box AP' in text
    assert f'It is not known whether {which} differ from it' in text
    assert f'because they have {lacking}' in text
    assert f'no entry is recommended; {advice} ' in text
    assert 'from which price on is not known' in text
    assert 'take it' not in text and 'take:' not in text
    assert ('told from it: twin </script>.' in text) == (which == 'these')
