"""One process at a time works in the folder of a run."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import UserError

with suppress(ImportError):  # other systems than POSIX have no such lock
    import fcntl

_NAME = '.lock'


class RunIsBusy(UserError):
    """Another process works in the folder of a run."""


@contextmanager
def locked(folder: Path, wait: bool = False) -> Iterator[tuple[int, ...]]:
    """Keep other processes out of a folder while the block runs.

    Give the lock to the commands that work in the folder (``pass_fds`` of
    ``subprocess``): then it also holds as long as one of them goes on after
    this process was killed. This is why no package for locks is used.

    Args:
        folder: the folder; it is made.
        wait: whether to wait for a process that holds the lock; only where
            no one holds it for long.

    Yields:
        What the commands have to inherit; nothing where there is no lock.

    Raises:
        RunIsBusy: another process holds the lock, and ``wait`` is not set.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if 'fcntl' not in globals():
        yield ()
        return
    with open(folder / _NAME, 'w') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise RunIsBusy(
                f'another process is working in {folder}; its run is left to '
                f'it'
            ) from None
        except OSError:  # some network disks have no locks
            yield ()
            return
        yield (file.fileno(),)
