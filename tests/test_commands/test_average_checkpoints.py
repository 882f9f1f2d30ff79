"""Checkpoint files are averaged.

- the mean of each weight is exact and has the weight's data type; counters
  and meta come from the last file;
- for files of a run with an averaging hook, a choice is required and
  followed;
- a single file, other names, shapes or data types, a file that asks for
  code, a missing file, and an output that would replace an input end in one
  line, and nothing is written.
"""

import pytest
import torch

from cbnet.commands.main import main


@pytest.fixture
def average(tmp_path, monkeypatch, capsys):
    """Run the tool in this process; give its output, or its error."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        try:
            main(['average-checkpoints', *arguments])
        except SystemExit as end:
            assert end.code == 2
        return capsys.readouterr()

    return run


def save(path, value, **changes):
    weights = {
        'layer.weight': torch.full((2, 2), value),
        'half': torch.full((2,), value, dtype=torch.float16),
        'count': torch.tensor(int(value * 10)),
        **changes,
    }
    torch.save(dict(meta=dict(value=value), state_dict=weights), path)


def test_the_mean(average, tmp_path):
    for name, value in (('a', 0.1), ('b', 0.2), ('c', 0.6)):
        save(tmp_path / f'{name}.pth', value)
    said = average('a.pth', 'b.pth', 'c.pth', '--out', 'new/mean.pth').out
    assert said.splitlines()[-1] == 'average of 3 weights: new/mean.pth'
    file = torch.load(tmp_path / 'new/mean.pth', weights_only=True)
    weights = file['state_dict']
    torch.testing.assert_close(
        weights['layer.weight'], torch.full((2, 2), 0.3)
    )
    assert weights['half'].dtype == torch.float16
    assert weights['count'] == 6 and file['meta']['value'] == 0.6


def test_many_small_terms_count(average, tmp_path):
    """In float32, 2 ** 24 + 1 is 2 ** 24."""
    for name, value in (('a', 2**24), ('b', 1), ('c', 1)):
        torch.save({'w': torch.tensor([float(value)])}, tmp_path / name)
    average('a', 'b', 'c', '--out', 'mean.pth')
    found = torch.load(tmp_path / 'mean.pth')['state_dict']['w']
    assert found.item() == (2**24 + 2) / 3 == 5592406


def test_files_of_an_averaging_hook(average, tmp_path):
    for value in (1.0, 3.0):
        trained = torch.full((2,), value + 10)
        torch.save(
            dict(
                state_dict=dict(layer=torch.full((2,), value)),
                ema_state_dict={
                    'module.layer': trained, 'steps': torch.tensor(1)
                },
            ),
            tmp_path / f'{value}.pth',
        )  # fmt: skip
    files = ('1.0.pth', '3.0.pth', '--out', 'out.pth')
    assert '--take averaged or --take trained' in average(*files).err
    for take, expected in (('averaged', 2.0), ('trained', 12.0)):
        average(*files, '--take', take)
        found = torch.load(tmp_path / 'out.pth')['state_dict']
        assert set(found) == {'layer'} and (found['layer'] == expected).all()


class Code:
    def __reduce__(self):
        return print, ('run',)


def test_mistakes(average, tmp_path):
    save(tmp_path / 'a.pth', 0.1)
    save(tmp_path / 'shape.pth', 0.1, **{'layer.weight': torch.zeros(3, 2)})
    save(tmp_path / 'dtype.pth', 0.1, half=torch.zeros(2))
    save(tmp_path / 'more.pth', 0.1, new=torch.zeros(1))
    torch.save(dict(state_dict=Code()), tmp_path / 'code.pth')
    expected = {
        'shape.pth': 'a.pth and shape.pth are not checkpoints of one model: '
        '1 differs in shape or type (layer.weight (3, 2) float32 instead of '
        '(2, 2) float32)',
        'dtype.pth': '(half (2,) float32 instead of (2,) float16)',
        'more.pth': 'one model: a.pth lacks 1 (new)',
        'code.pth': 'code.pth',
        'none.pth': 'there is no such file',
    }
    for name, words in expected.items():
        said = average('a.pth', name, '--out', 'out.pth')
        assert words in said.err.splitlines()[-1]
        assert 'run' not in said.out.split()
    assert '1 file to' in average('a.pth', '--out', 'out.pth').err
    assert 'a.pth is one of FILE.pth; name another' in average(
        'a.pth', 'a.pth', '--out', 'a.pth'
    ).err  # fmt: skip
    assert not (tmp_path / 'out.pth').exists()
