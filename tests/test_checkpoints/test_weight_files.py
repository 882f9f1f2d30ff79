"""Checkpoints are written completely or not at all.

A written file can be read again.  If the disk is full, whether the file or
torch reports it, the error names the file and its previous version remains.
"""

import errno
import os

import pytest
import torch

from cbnet.atomic_files import FileNotSavedError
from cbnet.checkpoints.fingerprint import KEY
from cbnet.checkpoints.weight_files import read_file, write_weights

WEIGHTS = {'w': torch.arange(300_000.0)}


def test_a_round_trip(tmp_path):
    write_weights(tmp_path / 'new' / 'a.pth', WEIGHTS, dict(epoch=3))
    file = read_file(tmp_path / 'new' / 'a.pth')
    assert file['meta'].pop(KEY) and file['meta'] == dict(epoch=3)
    assert torch.equal(file['state_dict']['w'], WEIGHTS['w'])
    assert os.listdir(tmp_path / 'new') == ['a.pth']


@pytest.mark.parametrize(
    ('error', 'reason'),
    [
        (OSError(errno.ENOSPC, 'No space left'), 'No space left'),
        (RuntimeError('PytorchStreamWriter\nfailed'), 'PytorchStreamWriter f'),
    ],
)
def test_a_full_disk(tmp_path, monkeypatch, error, reason):
    def fail(content, file):
        file.write(b'half')
        raise error

    path = tmp_path / 'a.pth'
    path.write_bytes(b'before')
    monkeypatch.setattr(torch, 'save', fail)
    with pytest.raises(FileNotSavedError) as raised:
        write_weights(path, WEIGHTS, {})
    message = str(raised.value)
    assert message.startswith(f'{path} was not saved: {reason}')
    assert 'it needs 1.2 MB' in message
    assert os.listdir(tmp_path) == ['a.pth']
    assert path.read_bytes() == b'before'
