"""One process at a time works in the folder of a run.

- a folder that is locked is refused, and is free afterwards;
- a command that inherits the lock holds it after its parent has ended.
"""

import subprocess
import sys

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
