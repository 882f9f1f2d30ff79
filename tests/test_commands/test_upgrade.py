"""tools/misc/upgrade.py: an upgrade, its removal, and mistakes.

1. The command writes a config and a checkpoint, proves that nothing is lost,
   prints the costs, and takes the assistant away again.
2. Where an output differs, it names the place and leaves no file.
3. Mistakes end in one line with exit status 2 and leave no file.
"""

import runpy
import sys
from pathlib import Path

import pytest
import timm
import torch

from cbnet.commands import upgrade as command
from cbnet.testing import build_model, tiny_detector
from tests.test_twins.trained_detectors import write_trained

ROOT = Path(__file__).parents[2]


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """Call the tool in this process, in the folder of a trained detector."""
    monkeypatch.chdir(tmp_path)
    write_trained('FasterRCNN', tmp_path)
    weights = timm.create_model('test_vit').state_dict()
    torch.save(weights, 'vit.pth')

    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', ['upgrade.py', *arguments])
        tool = ROOT / 'tools' / 'misc' / 'upgrade.py'
        try:
            runpy.run_path(str(tool), run_name='__main__')
            status = 0
        except SystemExit as stop:
            status = stop.code
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


UPGRADE = [
    'plain.py', 'trained.pth', '--out-dir', 'up', '--assistant', 'test_vit',
    '--assistant-weights', 'vit.pth', '--scale', '0.5',
    '--shape', '64', '96', '--steps', '1',
]  # fmt: skip


def test_upgrade_and_remove(call):
    status, said, errors = call(*UPGRADE)
    assert status == 0, errors
    assert 'proved on 1 image of fingerprints: ' in said
    assert 'are equal, largest difference 0.0\n' in said
    assert '| time of a step [s]  ' in said
    assert 'not trained: ' in said and 'connection 0 -> 1' in said
    assert said.splitlines()[-1] == 'go on: cbnet train up/upgraded_plain.py'
    text = Path('up/upgraded_plain.py').read_text()
    assert "'scale': 0.5" in text and "'frozen': True" in text

    status, said, errors = call(
        'up/upgraded_plain.py', 'up/start.pth', '--remove', '--out-dir', 'up'
    )
    assert status == 0, errors
    assert 'the assistant adds nothing yet' in said
    before, after = (
        torch.load(path, weights_only=True)['state_dict']
        for path in ('trained.pth', 'up/removed.pth')
    )
    assert before.keys() == after.keys()
    assert all(torch.equal(after[n], w) for n, w in before.items())

    trained = torch.load('up/start.pth', weights_only=True)
    for name, weight in trained['state_dict'].items():
        if '.connections.' in name:
            weight += 1
    torch.save(trained, 'up/trained.pth')
    status, said, _ = call(
        'up/upgraded_plain.py', 'up/trained.pth', '--remove',
        '--out-dir', 'up',
    )  # fmt: skip
    assert status == 0
    assert 'change by up to' in said and 'first at backbone.0' in said


def test_a_difference_stops_it(call, monkeypatch):
    def wrong(*arguments):
        found = start_weights(*arguments)
        found['neck.fpn_convs.1.conv.bias'] += 1e-3
        return found

    start_weights = command.start_weights
    monkeypatch.setattr(command, 'start_weights', wrong)
    status, _, errors = call(*UPGRADE)
    assert status == 2
    assert 'the first output that differs is neck.1, the largest' in errors
    assert not list(Path('up').iterdir())


MISTAKES = [
    (dict(assistant='dinov2-x'), "did you mean 'dinov2-s' or"),
    (dict(weights='gone.pth'), 'gone.pth'),
    (dict(weights='trained.pth'), 'does not fit TimmBackbone, nothing was'),
    (dict(config='gone.py'), 'no config file gone.py'),
    (dict(config='mmdet::ssd/ssd300_coco.py'), 'SSDVGG cannot be a member'),
    (dict(config='cbnet::cbnet/dual_r50.py'), 'is composite already'),
    (dict(checkpoint='other.pth'), 'other.pth does not fit the model'),
    (dict(checkpoint='gone.pth'), 'gone.pth'),
    (dict(style='dhcl'), "invalid choice: 'dhcl'"),
    (dict(scale='-1'), 'scale'),
    (dict(shape='8'), '--shape: 8 x 96 is not an image'),
    (dict(remove=True), 'plain.py is not the config of an upgraded detector'),
]


@pytest.mark.parametrize(('wrong', 'message'), MISTAKES)
def test_a_mistake_ends_in_one_line(wrong, message, call):
    other = build_model(tiny_detector('RetinaNet', num_classes=4))
    torch.save(other.state_dict(), 'other.pth')
    status, _, errors = call(
        wrong.get('config', 'plain.py'),
        wrong.get('checkpoint', 'trained.pth'),
        '--out-dir', 'up',
        '--assistant', wrong.get('assistant', 'test_vit'),
        '--assistant-weights', wrong.get('weights', 'vit.pth'),
        '--style', wrong.get('style', 'slc'),
        '--scale', wrong.get('scale', '1'),
        '--shape', wrong.get('shape', '64'), '96',
        *['--remove'] * ('remove' in wrong),
    )  # fmt: skip
    assert status == 2
    error = errors.splitlines()[-1]
    assert error.startswith('upgrade.py: error: ') and message in error, error
    assert not list(Path().glob('up/*'))


@pytest.mark.parametrize('name', ['upgraded_plain.py', 'start.pth'])
def test_no_file_is_replaced(name, call):
    Path('up').mkdir()
    Path('up', name).write_text('mine')
    status, _, errors = call(*UPGRADE)
    assert status == 2 and f'{name} exists' in errors
    assert Path('up', name).read_text() == 'mine'
    assert len(list(Path('up').iterdir())) == 1
