"""A study of upgrades, of two arms with two steps on a few tiny images.

1. It trains, upgrades, evaluates and writes tables and a figure; before the
   further training, both arms have the same metrics. Ended in the middle, it
   goes on from there; when all is done, it trains and evaluates nothing.
2. An arm that fails stops no other, and the command says so in the end.
3. Mistakes end in one sentence before anything is trained.
"""

import json
import shutil

import pytest
import timm
import torch

from cbnet.commands import main as entry
from cbnet.commands.command_queue import CommandFailed, CommandQueue
from cbnet.datasets.split_files import find_split_file
from cbnet.testing import tiny_detector

from .conftest import CONFIG

STUDY = [
    'study-upgrades', 'plain.py', '--assistant', 'test_vit',
    '--assistant-weights', 'vit.pth', '--arms', 'frozen', '--seeds', '1',
    '--steps', '2', '--further-steps', '3', '--out-dir', 'out',
]  # fmt: skip


@pytest.fixture
def study(tiny_coco, tmp_path, run_command, monkeypatch):
    """Run a study whose commands run in this process; give what it said.

    ``study.calls`` lists the commands; ``study.broken`` is a part of the
    arguments of one that fails.
    """
    model = tiny_detector('MaskRCNN', num_classes=2)
    text = CONFIG.format(
        model=model, root=str(tiny_coco.root), classes=tiny_coco.classes
    )
    (tmp_path / 'plain.py').write_text(text)
    torch.save(timm.create_model('test_vit').state_dict(), 'vit.pth')

    def here(self, arguments, log, *args, **options):
        study.calls.append(arguments)
        if study.broken and any(study.broken in a for a in arguments):
            raise CommandFailed(f'{arguments[0]} failed, see {log}')
        entry.main(arguments)

    def study(*arguments):
        study.calls = []
        return run_command(*STUDY, *arguments)

    study.broken = ''
    monkeypatch.setattr(CommandQueue, 'run', here)
    return study


def metrics(folder, run):
    result = json.loads((folder / run / 'result.json').read_text())
    times = ('time', 'data_time')
    return {k: v for k, v in result['metrics'].items() if k not in times}


def test_a_study_that_is_interrupted(study, tmp_path, monkeypatch):
    seed, arm = tmp_path / 'out' / 'seed-1', 'frozen-test_vit'
    study.broken = f'{arm}/steps'
    status, said = study()
    assert status == 2
    assert f'1 of the runs failed ({arm} of seed 1)' in said
    assert [call[0] for call in study.calls] == [
        'train', 'test',  # the detector
        'train', 'test',  # it goes on alone
        'upgrade', 'test', 'train',
    ]  # fmt: skip
    assert metrics(seed, f'{arm}/start') == metrics(seed, 'alone/start')
    table = (tmp_path / 'out' / 'results.md').read_text()
    assert '| alone ' in table and arm not in table.split('\n\n')[0]

    study.broken = ''
    status, said = study()
    assert status == 0, said
    assert [call[0] for call in study.calls] == ['train', 'test'] * 2
    assert all(arm in call[3] for call in study.calls if call[0] == 'train')
    steps = (seed / arm / 'steps' / 'last_checkpoint').read_text()
    assert steps.endswith('iter_3.pth')
    trained = torch.load(steps, weights_only=False)
    assert trained['meta']['seed'] == 1
    table = (tmp_path / 'out' / 'results.md').read_text()
    assert '| equal time ' in table and table.strip() in said
    found = json.loads((tmp_path / 'out' / 'results.json').read_text())
    assert {(r['arm'], r['budget']) for r in found['results']} == {
        ('alone', 'start'), ('alone', 'steps'), (arm, 'start'),
        (arm, 'steps'), (arm, 'time'),
    }  # fmt: skip
    assert found['costs'][arm]['trained'] > found['costs']['alone']['trained']
    assert (tmp_path / 'out' / 'results.png').stat().st_size > 1000

    status, said = study()
    assert status == 0 and study.calls == []
    status, said = study('--further-steps', '4')
    assert status == 2 and study.calls == []
    assert 'further.py is there, but the options now give another' in said


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (['--bigger', 'plain.py'], '--arms bigger and --bigger CONFIG need'),
        (['--arms', 'bigger'], '--arms bigger and --bigger CONFIG need'),
        (['--checkpoints', 'a.pth', 'b.pth'], '2 files for 1 seeds'),
        (['--checkpoints', 'a.pth'], '--checkpoints: no file a.pth'),
        (['--assistant', 'abc'], "--assistant 'abc' is no preset"),
        (['--assistant-weights', 'plain.py'], 'plain.py'),
        (['--further-config', 'gone.py'], 'no config file gone.py'),
        (['--data-root', 'gone'], '--data-root: no folder gone'),
    ],
)
def test_mistakes(study, arguments, sentence):
    status, said = study(*arguments)
    assert status == 2, said
    assert sentence in said.splitlines()[-1]
    assert study.calls == []


def test_data_without_a_split_to_evaluate_on(study, tiny_coco, tmp_path):
    shutil.copytree(tiny_coco.root, tmp_path / 'mine')
    find_split_file(tmp_path / 'mine', 'val').unlink()
    status, said = study('--data-root', 'mine')
    assert status == 2 and 'give --val-ann FILE' in said, said
    assert '--no-val' not in said  # which a study does not have
