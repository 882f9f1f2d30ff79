"""The figures of a run are kept whole.

1. Without results files, nothing is kept.
2. An interruption leaves the samples as they were; broken ones count as none,
   and are drawn again where the results files are still there.
"""

import numpy as np
import pytest

from cbnet.battle.figures import read_figures, write_figures

from .made_battle import cost, make_battle


@pytest.fixture
def made(tiny_coco, tmp_path):
    """Give the folder of an evaluation, and its annotations."""
    entries = {'good': (1.0, cost(20))}
    (data,) = make_battle(tmp_path, [tiny_coco.root], entries, [0])
    return next(tmp_path.rglob('test')), data.splits['test'].annotations


def test_no_results_are_no_figures(made, tmp_path):
    folder = tmp_path / 'empty'
    folder.mkdir()
    with pytest.raises(ValueError, match=r'has left no results\.bbox\.json'):
        write_figures(folder, made[1], 5)
    assert [*folder.iterdir()] == []  # the next call evaluates again


def test_an_interruption(made, monkeypatch):
    folder, annotations = made
    want = read_figures(folder).samples

    def interrupted(file, **_):
        file.write(b'PK')
        raise KeyboardInterrupt

    monkeypatch.setattr(np, 'savez', interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_figures(folder, annotations, 20)
    kept = read_figures(folder).samples
    assert set(kept) == set(want) == {'box', 'mask'}
    assert all((kept[kind] == want[kind]).all() for kind in want)


@pytest.mark.parametrize('size', [0, 2, 99])
def test_broken_samples(made, size):
    folder, _ = made
    want, file = read_figures(folder, drawn=True), folder / 'samples.npz'
    file.write_bytes(file.read_bytes()[:size])  # as earlier versions did
    found = read_figures(folder)
    assert found.figures == want.figures and found.samples == {}
    assert read_figures(folder, drawn=True) is None
    (folder / 'results.segm.json').unlink()
    assert read_figures(folder, drawn=True).figures == want.figures
