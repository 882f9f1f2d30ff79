"""Whole files: the content is on the disk before the name points to it.

Full disks, interrupts and killed processes are tried where the files are
written: tests/test_engine/test_checked_saving.py, test_checkpoints.
"""

import os

import pytest
import torch

from cbnet.atomic_files import write_whole
from cbnet.checkpoints.weight_files import write_weights


@pytest.mark.parametrize(
    ('write', 'content'),
    [
        (write_whole, [b'x']),
        (write_weights, [{'w': torch.zeros(1)}, {}]),
    ],
    ids=['bytes', 'weights'],
)
def test_the_disk_has_the_content_before_the_name(
    write, content, tmp_path, monkeypatch
):
    calls = []
    for name in ('fsync', 'replace'):
        real = getattr(os, name)

        def noting(*args, name=name, real=real):
            calls.append(name)
            return real(*args)

        monkeypatch.setattr(os, name, noting)
    write(tmp_path / 'a.pth', *content)
    assert calls == ['fsync', 'replace', 'fsync']  # the last is the folder's
