"""An error written for the user ends a tool with one line and status 2.

- what a ``raise`` of the package makes, also through a dataloader's worker,
  error classes of the package, a full disk or a protected file wherever it
  is met;
- a failed operation inside the package, and what others raise, keep their
  traceback; so does everything under CBNET_TRACEBACK;
- the traceback goes to the log file of the run, and the last line but one
  says where that is;
- an interruption from the keyboard is one line, too.
"""

import errno
import os
import signal
import subprocess
import sys
from urllib.error import URLError

import pytest
from mmengine.logging import MMLogger

from cbnet.commands.user_errors import SHOW, plain_errors, user_message
from cbnet.datasets.checked_images import ImageFileError
from cbnet.errors import BrokenCheckpointError
from cbnet.models.backbones.connections import (
    STYLES,
    ConnectionOptions,
    style_edges,
)


def caught(call):
    try:
        call()
    except Exception as error:
        return error


def raises(error):
    def call():
        raise error

    return call


def test_what_the_package_raises():
    error = caught(lambda: style_edges('dhcl', 4))
    assert user_message(error).startswith("style_edges: style='dhcl'; ")
    error = caught(lambda: ConnectionOptions().updated(dict(bais=1)))
    assert user_message(error).startswith("connection has no option 'bais'")


def test_what_the_package_stumbles_over():
    # An operation inside a style fails; nobody wrote a message for it.
    error = caught(lambda: STYLES['dhlc'](None))
    assert isinstance(error, TypeError) and user_message(error) is None


@pytest.mark.parametrize(
    ('error', 'message'),
    [
        (ImageFileError('image a.jpg is\n missing'), 'image a.jpg is missing'),
        (BrokenCheckpointError('a.pth: cut short'), 'a.pth: cut short'),
        (BrokenCheckpointError(), 'BrokenCheckpointError'),
        (
            OSError(errno.ENOSPC, 'No space left on device', 'a.json'),
            "[Errno 28] No space left on device: 'a.json'; make room on the "
            'disk, then repeat the command (a training with --resume)',
        ),
        (
            OSError(errno.EACCES, 'Permission denied', 'a.json'),
            'a.json: you may not open or write it; change its permissions, '
            'or name another',
        ),
        (
            OSError(errno.ENAMETOOLONG, 'File name too long', 'aaa'),
            'aaa: this name is too long; name another',
        ),
        (
            URLError(ConnectionRefusedError(111, 'Connection refused')),
            'an address cannot be read: [Errno 111] Connection refused',
        ),
        (OSError(errno.EACCES, 'Permission denied'), None),
        (OSError(errno.ENOENT, 'No such file', 'a.json'), None),
        (ValueError('of somebody else'), None),
        (KeyError('x'), None),
    ],
)
def test_kinds_of_errors(error, message):
    assert user_message(caught(raises(error))) == message


@pytest.mark.parametrize(
    ('use', 'message'),
    [
        (lambda file: file.mkdir(exist_ok=True), 'a: a file is there'),
        (lambda file: (file / 'b').mkdir(parents=True), 'a part of this path'),
        (lambda file: (file / 'b').read_text(), 'a part of this path'),
        (lambda file: file.parent.read_text(), 'this is a folder'),
        (lambda file: file.with_name('a' * 300).read_text(), 'too long'),
        (lambda file: file.with_name('circle').read_text(), 'in a circle'),
    ],
)
def test_what_the_system_refuses(tmp_path, use, message):
    file = tmp_path / 'a'
    file.touch()
    file.with_name('circle').symlink_to('circle')
    line = user_message(caught(lambda: use(file)))
    assert line.startswith(str(tmp_path)) and message in line


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.setattr(MMLogger, '_instance_dict', {})
    monkeypatch.delenv('CBNET_TRACEBACK', raising=False)

    def run():
        with plain_errors('cbnet train'):
            style_edges('dhcl', 4)

    return run


def test_one_line(tool, capsys):
    MMLogger.get_instance('plain', logger_name='mmengine')
    with pytest.raises(SystemExit) as stopped:
        tool()
    assert stopped.value.code == 2
    hint, last = capsys.readouterr().err.splitlines()
    assert hint == 'CBNET_TRACEBACK=1 shows the traceback'
    assert last.startswith("cbnet train: error: style_edges: style='dhcl'; ")


def test_the_traceback_is_in_the_log(tool, capsys, tmp_path):
    path = tmp_path / 'run.log'
    MMLogger.get_instance('run', logger_name='mmengine', log_file=str(path))
    with pytest.raises(SystemExit):
        tool()
    hint, last = capsys.readouterr().err.splitlines()
    assert hint == f'traceback: {path}'
    text = path.read_text()
    assert 'Traceback (most recent call last):' in text
    assert (
        'in check_value' in text and "Error: style_edges: style='dhcl'" in text
    )


def test_a_log_that_cannot_be_written(tool, capsys, tmp_path, monkeypatch):
    path = tmp_path / 'run.log'
    logger = MMLogger.get_instance(
        'run', logger_name='mmengine', log_file=str(path)
    )
    (handler,) = [h for h in logger.handlers if hasattr(h, 'baseFilename')]

    def full(text):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(handler, 'stream', type('', (), dict(write=full))())
    handler.stream.write = full
    with pytest.raises(SystemExit):
        tool()
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_the_traceback_on_demand(tool, monkeypatch):
    monkeypatch.setenv('CBNET_TRACEBACK', '1')
    with pytest.raises(ValueError, match='dhcl'):
        tool()


def test_other_errors_and_exits_pass():
    with pytest.raises(KeyError), plain_errors('x'):
        raise KeyError('x')
    with pytest.raises(SystemExit) as stopped, plain_errors('x'):
        raise SystemExit(3)
    assert stopped.value.code == 3


@pytest.mark.parametrize('shown', [False, True])
def test_an_interruption(shown):
    """It ends the process by the signal, as shells expect."""
    code = (
        'from cbnet.commands.user_errors import plain_errors\n'
        'with plain_errors("cbnet battle"):\n'
        '    raise KeyboardInterrupt'
    )
    done = subprocess.run(
        [sys.executable, '-c', code],
        env={**os.environ, SHOW: '1' * shown},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert done.returncode == -signal.SIGINT
    if shown:
        assert 'Traceback' in done.stderr
    else:
        assert done.stderr == 'cbnet battle: interrupted\n'
