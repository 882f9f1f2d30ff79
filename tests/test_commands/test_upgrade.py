"""cbnet upgrade: an upgrade, its removal, and what it refuses.

1. The command writes a config and a checkpoint, proves that nothing is lost,
   prints the costs, and takes the assistant away again.
2. With --leave-out-frozen, checkpoints are small, find the assistant's file,
   also in a process that only loads them, and refuse another file.
3. Where an output differs, it names the place and leaves no file.
4. Interrupted, or where a disk is full, it leaves neither file nor folder.
"""

from pathlib import Path

import pytest
import timm
import torch

from cbnet import atomic_files
from cbnet.commands import upgrade as command
from tests.test_twins.trained_detectors import write_trained

UPGRADE = [
    'plain.py', 'trained.pth', '--out-dir', 'new/up', '--assistant',
    'test_vit', '--assistant-weights', 'vit.pth', '--scale', '0.5',
    '--shape', '64', '96', '--steps', '1',
]  # fmt: skip
UP = ['new/up/upgraded_plain.py', 'new/up/start.pth']
REMOVE = ['--remove', '--out-dir']


@pytest.fixture
def call(tmp_path, run_command):
    """Call the command in the folder of a trained detector."""
    write_trained('FasterRCNN', tmp_path)
    torch.save(timm.create_model('test_vit').state_dict(), 'vit.pth')
    return lambda *arguments: run_command('upgrade', *arguments)


def read(path):
    return torch.load(path, weights_only=True)['state_dict']


def same(one, other):
    return one.keys() == other.keys() and all(
        torch.equal(weight, other[name]) for name, weight in one.items()
    )


def test_upgrade_and_remove(call):
    status, said = call(*UPGRADE)
    assert status == 0, said
    assert 'proved on 1 image of fingerprints: ' in said
    assert 'are equal, largest difference 0.0\n' in said
    assert '| time of a step [s]  ' in said
    assert 'not trained: ' in said and 'connection 0 -> 1' in said
    assert 'go on: cbnet train new/up/upgraded_plain.py\n' in said
    text = Path('new/up/upgraded_plain.py').read_text()
    assert "    type='Member', frozen=True, scale=0.5," in text

    status, said = call(*UP, *REMOVE, 'removed')
    assert status == 0, said
    assert 'the assistant adds nothing yet' in said
    assert same(read('trained.pth'), read('removed/removed.pth'))

    trained = torch.load('new/up/start.pth', weights_only=True)
    for name, weight in trained['state_dict'].items():
        if '.connections.' in name:
            weight += 1
    torch.save(trained, 'new/up/start.pth')
    status, said = call(*UP, *REMOVE, 'again')
    assert status == 0, said
    assert 'change by up to' in said and 'first at backbone.0' in said
    status, said = call(*UP, *REMOVE, 'again')
    assert status == 2 and 'again/removed.pth exists' in said


def test_weights_that_are_left_out(call, monkeypatch):
    options = ['--leave-out-frozen', '--dtype', 'bfloat16', '--steps', '0']
    status, said = call(*UPGRADE, *options)
    assert status == 0 and 'largest difference 0.0\n' in said, said
    assert 'are in no checkpoint; keep vit.pth' in said
    found = read('new/up/start.pth')
    left = [name for name in found if 'members.0.' in name]
    assert left == ['backbone.members.0.sha256']
    assert Path('new/up/start.pth').stat().st_size < 1.2 * (
        Path('trained.pth').stat().st_size
    )
    monkeypatch.chdir('new')  # the file is named from the config's folder
    up = [Path(file).relative_to('new') for file in UP]
    status, said = call(*up, *REMOVE, 'removed')
    assert status == 0, said
    assert same(read('../trained.pth'), read('removed/removed.pth'))

    other = torch.load('../vit.pth', weights_only=True)
    other['norm.bias'] += 1  # which no map depends on
    torch.save(other, '../vit.pth')
    assert call(*up, *REMOVE, 'again')[0] == 0
    other['blocks.0.norm1.bias'] += 1e-6
    torch.save(other, '../vit.pth')
    status, said = call(*up, *REMOVE, 'further')
    assert status == 2 and 'but this member has those of init_cfg' in said
    assert not Path('further').exists()


def test_a_difference_stops_it(call, monkeypatch):
    def wrong(*arguments):
        found = start_weights(*arguments)
        found['neck.fpn_convs.1.conv.bias'] += 1e-3
        return found

    start_weights = command.start_weights
    monkeypatch.setattr(command, 'start_weights', wrong)
    status, said = call(*UPGRADE)
    assert status == 2
    assert 'the first output that differs is neck.1, the largest' in said
    assert not Path('new').exists()


@pytest.mark.parametrize(
    'step', ['write_config', 'start_weights', 'compare_detectors']
)
def test_an_interrupted_upgrade_leaves_nothing(step, call, monkeypatch):
    def stop(*arguments):
        done(*arguments)
        assert [*Path('new/up').iterdir()]
        raise KeyboardInterrupt

    done = getattr(command, step)
    monkeypatch.setattr(command, step, stop)
    Path('new').mkdir()
    Path('new', 'mine').touch()
    with pytest.raises(KeyboardInterrupt):
        call(*UPGRADE)
    assert [*Path('new').iterdir()] == [Path('new/mine')]


def test_a_full_disk(call, monkeypatch):
    def full(weights, file):
        file.write(b'half')
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(torch, 'save', full)
    status, said = call(*UPGRADE)
    assert status == 2
    assert 'start.pth was not saved: No space left on device' in said
    assert not Path('new').exists()


def test_a_folder_that_cannot_be_made(call, monkeypatch):
    def refuse(folder, **options):
        if folder.name == 'up':
            raise PermissionError(13, 'Permission denied', str(folder))
        return make(folder, **options)

    make = Path.mkdir
    monkeypatch.setattr(atomic_files.Path, 'mkdir', refuse)
    status, said = call(*UPGRADE)
    assert status == 2
    assert 'the folder new/up cannot be made: Permission denied' in said
    assert not Path('new').exists()


@pytest.mark.parametrize('name', ['upgraded_plain.py', 'start.pth'])
def test_no_file_is_replaced(name, call):
    Path('new/up').mkdir(parents=True)
    Path('new/up', name).write_text('mine')
    status, said = call(*UPGRADE)
    assert status == 2 and f'{name} exists' in said
    assert Path('new/up', name).read_text() == 'mine'
    assert len(list(Path('new/up').iterdir())) == 1
