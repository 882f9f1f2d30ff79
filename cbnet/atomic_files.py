"""Write files so that each one exists completely or not at all."""

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from mmengine.fileio import LocalBackend, register_backend

from .errors import UserError
from .messages import one_line

AnyPath = str | os.PathLike[str]
_PREFIX, _SUFFIX = '.unfinished-', '.tmp'


class FileNotSavedError(UserError, OSError):
    """A file could not be written; its previous version is untouched."""


@contextmanager
def whole_file(path: AnyPath, size: int) -> Iterator[IO[bytes]]:
    """Open a file that appears under its name when the block has succeeded.

    The content goes to a temporary file in the same folder and is on the
    disk before the name points to it. A full disk, a killed process or a
    power cut therefore never leaves half a file under the name.

    Args:
        path: the file to write; its folder is created.
        size: the size of the content in bytes, for the error message.

    Raises:
        FileNotSavedError: the message gives the needed and the free space.
    """
    path = Path(path)
    writer = f'{os.getpid()}-{threading.get_ident()}'
    unfinished = path.with_name(f'{_PREFIX}{path.name}-{writer}{_SUFFIX}')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(unfinished, 'wb') as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
    except OSError as error:
        raise FileNotSavedError(
            f'{path} was not saved: {error.strerror or one_line(error)} (it '
            f'needs {size / 1e6:.1f} MB, {_free(path.parent)}). Any previous '
            f'version of the file is untouched. Free some space or choose '
            f'another folder; a training run then continues with --resume'
        ) from error


@contextmanager
def all_or_none(*paths: Path) -> Iterator[None]:
    """Leave no new file, and no folder made for one, if the block fails.

    Args:
        paths: files that do not exist; their folders are made.

    Raises:
        FileNotSavedError: a folder cannot be made.
    """
    folders = {parent for path in paths for parent in path.parents}
    made = [one for one in sorted(folders) if not one.exists()]
    try:
        for folder in made:
            _make_folder(folder)
        yield
    except BaseException:
        for path in paths:
            path.unlink(missing_ok=True)
        for folder in reversed(made):
            with suppress(OSError):  # another process has put a file there
                folder.rmdir()
        raise


def write_whole(path: AnyPath, content: bytes) -> None:
    """Write bytes to a file completely or not at all; see ``whole_file``."""
    with whole_file(path, len(content)) as file:
        file.write(content)


def remove_unfinished(folder: AnyPath) -> list[Path]:
    """Remove and return the temporary files that a killed process left.

    Subfolders are not searched; the folder need not exist.
    """
    found = sorted(Path(folder).glob(f'{_PREFIX}*{_SUFFIX}'))
    for path in found:
        path.unlink(missing_ok=True)
    return found


@contextmanager
def whole_folder(path: AnyPath) -> Iterator[Path]:
    """Make a folder that appears under its name when the block has succeeded.

    Args:
        path: the folder to write, new or empty; a link is followed.

    Raises:
        OSError: the folder cannot be written, or another process has put
            something into it.
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

    def put(self, obj: bytes, filepath: AnyPath) -> None:
        """Write bytes to a file."""
        write_whole(filepath, obj)

    def put_text(
        self, obj: str, filepath: AnyPath, encoding: str = 'utf-8'
    ) -> None:
        """Write text to a file."""
        write_whole(filepath, obj.encode(encoding))


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise FileNotSavedError(
            f'the folder {folder} cannot be made: '
            f'{error.strerror or one_line(error)}; choose another one'
        ) from error


def _sync_folder(folder: Path) -> None:
    if os.name != 'posix':
        return  # other systems cannot open a folder
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _free(folder: Path) -> str:
    try:
        return f'{shutil.disk_usage(folder).free / 1e6:.1f} MB are free'
    except OSError:  # the folder could not be created
        return 'free space unknown'
