"""Safe loading of mmengine's checkpoints.

1. a message hub with history buffers and numpy values comes back, under
   numpy's names of today and of version 1;
2. ``builtins.getattr`` resolves HistoryBuffer's statistics and nothing else;
   other code is refused.
"""

import os
import pickle
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer

from cbnet.compat.safe_globals import history_statistic


def test_history_buffers_come_back(tmp_path):
    buffer = HistoryBuffer([1.0, 2.0], [1, 1])
    hub = dict(
        log_scalars={'train/loss': buffer},
        runtime_info=dict(epoch=np.int64(3), lr=np.float32(0.5)),
    )
    torch.save(dict(message_hub=hub), tmp_path / 'run.pth')
    found = torch.load(tmp_path / 'run.pth')['message_hub']
    buffer = found['log_scalars']['train/loss']
    assert buffer.statistics('mean') == 1.5
    assert found['runtime_info'] == hub['runtime_info']


def test_files_written_under_numpy_1(tmp_path):
    torch.save(dict(x=np.arange(3), y=np.float64(2)), tmp_path / 'new.pth')
    with (
        zipfile.ZipFile(tmp_path / 'new.pth') as new,
        zipfile.ZipFile(tmp_path / 'old.pth', 'w') as old,
    ):
        for item in new.infolist():
            data = new.read(item)
            if item.filename.endswith('data.pkl'):
                assert b'numpy._core' in data
                data = data.replace(b'numpy._core', b'numpy.core')
            old.writestr(item.filename, data)
    found = torch.load(tmp_path / 'old.pth')
    assert found['x'].tolist() == [0, 1, 2] and found['y'] == 2


class Smuggled:
    """Pickles as a call."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        function, *arguments = self.call
        return function, tuple(arguments)


@pytest.mark.parametrize(
    'smuggled',
    [
        Smuggled(os.mkdir, 'made_by_a_checkpoint'),
        Smuggled(getattr, HistoryBuffer, '__init__'),
        Smuggled(getattr, HistoryBuffer, '_statistics_methods'),
        Smuggled(getattr, np.ndarray, 'tofile'),
        Smuggled(eval, '1'),
        SimpleNamespace(),
    ],
    ids=['mkdir', 'init', 'private', 'tofile', 'eval', 'namespace'],
)
def test_nothing_else_is_called(tmp_path, monkeypatch, smuggled):
    monkeypatch.chdir(tmp_path)
    torch.save(dict(state_dict={}, meta=smuggled), 'bad.pth')
    with pytest.raises(pickle.UnpicklingError):
        torch.load('bad.pth')
    assert not os.path.exists('made_by_a_checkpoint')


def test_getattr_is_never_the_real_one():
    assert history_statistic(HistoryBuffer, 'mean') is HistoryBuffer.mean
    with pytest.raises(pickle.UnpicklingError, match='only the statistics'):
        history_statistic(os, 'system')
