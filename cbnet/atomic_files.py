"""Files that are there as a whole or not at all, whatever happens midway."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

from .errors import UserError

_PREFIX, _SUFFIX = '.unfinished-', '.tmp'


class FileNotSavedError(UserError, OSError):
    """A file could not be written; what was there before is untouched."""


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file beside its place, then move it there in one step.

    The content is on the disk before the name points to it, so that neither
    a full disk nor a killed process or a power cut leaves half of a file
    under the name.

    Args:
        path: where it goes; its folder is made.
        content: all of it.

    Raises:
        FileNotSavedError: names the file, what it needs and what is free.
    """
    path = Path(path)
    unfinished = path.with_name(f'{_PREFIX}{path.name}-{os.getpid()}{_SUFFIX}')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(unfinished, 'wb') as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
    except OSError as error:
        raise FileNotSavedError(
            f'{path} was not saved: {error.strerror or error} (it needs '
            f'{_megabytes(len(content))}, {_free(path.parent)}). What was '
            f'saved before is untouched: make room, or choose another '
            f'--work-dir, then go on with --resume'
        ) from error


def remove_unfinished(folder: str | os.PathLike[str]) -> list[Path]:
    """Remove what a killed process left of files that it was writing.

    Args:
        folder: only the files directly in it; it need not exist.

    Returns:
        What was removed.
    """
    found = sorted(Path(folder).glob(f'{_PREFIX}*{_SUFFIX}'))
    for path in found:
        path.unlink(missing_ok=True)
    return found


@contextmanager
def whole_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Fill a folder that appears under its name when the block has succeeded.

    Args:
        path: the folder to write, new or empty; a link is followed.

    Yields:
        The temporary folder to fill.

    Raises:
        OSError: the folder cannot be written or has content by now, for
            instance because another process was faster.
    """
    # The temporary folder has to be on the disk that a link points to.
    target = Path(path).resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix=f'.{target.name}-', dir=target.parent
    ) as private:
        # Only the user may read a temporary folder; one inside it gets the
        # usual permissions.
        made = Path(private, 'made')
        made.mkdir()
        yield made
        if target.exists():
            target.rmdir()
        made.rename(target)


@register_backend('whole')
class WholeFileBackend(LocalBackend):
    """mmengine's local files, written whole (``dict(backend='whole')``)."""

    def put(self, obj: bytes, filepath: str | os.PathLike[str]) -> None:
        """Write bytes to a file, see ``write_whole``."""
        write_whole(filepath, obj)

    def put_text(
        self,
        obj: str,
        filepath: str | os.PathLike[str],
        encoding: str = 'utf-8',
    ) -> None:
        """Write text to a file, see ``write_whole``."""
        write_whole(filepath, obj.encode(encoding))


def _sync_folder(folder: Path) -> None:
    if os.name != 'posix':
        return  # elsewhere a folder cannot be opened
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _free(folder: Path) -> str:
    try:
        return f'{_megabytes(shutil.disk_usage(folder).free)} are free'
    except OSError:  # the folder could not even be made
        return 'free space unknown'


def _megabytes(count: int) -> str:
    return f'{count / 1e6:.1f} MB'
