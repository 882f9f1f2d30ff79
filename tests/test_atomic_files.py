"""Whole files: the content is on the disk before the name points to it.

Full disks, interrupts and killed processes are tried where the files are
written: tests/test_engine/test_checked_saving.py, test_checkpoints.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

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


def test_threads_that_write_one_file_do_not_meet(tmp_path):
    """Each has a temporary file of its own; the last one stays, whole."""
    path, together = tmp_path / 'table', Barrier(4, timeout=60)

    def write(number):
        for _ in range(20):
            together.wait()
            write_whole(path, bytes([number]) * 1000)

    with ThreadPoolExecutor(4) as pool:
        for one in [pool.submit(write, number) for number in range(4)]:
            one.result()
    assert len(set(path.read_bytes())) == 1 and path.stat().st_size == 1000
    assert [*tmp_path.iterdir()] == [path]
