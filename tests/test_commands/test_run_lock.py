"""One process at a time works in the folder of a run.

- a folder that is locked is refused, and is free afterwards;
- one that waits for the lock gets it as soon as the other one has ended;
- a command that inherits the lock holds it after its parent has ended.
"""

import subprocess
import sys
from threading import Event, Thread

import pytest

from cbnet.commands.run_lock import RunIsBusy, locked


def test_a_folder_is_locked_and_free_again(tmp_path):
    folder = tmp_path / 'runs' / 'seed-0'
    with locked(folder), pytest.raises(RunIsBusy, match='another process'):
        with locked(folder):
            pass
    with locked(folder) as lock, locked(tmp_path / 'runs' / 'seed-1'):
        assert len(lock) == 1


def test_a_command_holds_the_lock(tmp_path):
    wait = [sys.executable, '-c', 'input()']
    with locked(tmp_path) as lock:
        command = subprocess.Popen(wait, stdin=subprocess.PIPE, pass_fds=lock)
    with pytest.raises(RunIsBusy), locked(tmp_path):
        pass
    command.communicate(b'end')
    with locked(tmp_path):
        pass


def test_waiting(tmp_path):
    order, begun = [], Event()

    def second():
        begun.set()
        with locked(tmp_path, wait=True):
            order.append('second')

    thread = Thread(target=second)
    with locked(tmp_path):
        thread.start()
        begun.wait(timeout=60)
        thread.join(timeout=0.2)
        order.append('first')
    thread.join(timeout=60)
    assert order == ['first', 'second']
