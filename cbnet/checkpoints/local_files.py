"""Tell at a glance whether a local file can be a whole checkpoint."""

import os
import tarfile
import zipfile
from pathlib import Path

from ..errors import MissingFileError, UserValueError

_ZIP, _PICKLE = b'PK', b'\x80'


def require_checkpoint(source: str | os.PathLike[str], key: str) -> None:
    """Refuse a local file that is missing, cut short or something else.

    torch writes zip files, whose table of contents comes last; its older
    format has no end to look for, and is left to the loader.

    Args:
        source: as in a config; what has a scheme (``https://``) passes.
        key: how the error calls the setting.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is cut short, or no checkpoint.
    """
    path = Path(source)
    if ':' in str(source) and not path.exists():
        return
    if not path.is_file():
        raise MissingFileError(
            f'{key}={str(source)!r}: there is no such file; give the path of '
            f'a checkpoint (seen from where the tool was started), an '
            f'address, or None'
        )
    size = path.stat().st_size
    with open(path, 'rb') as file:
        start = file.read(16)
    if start.startswith(_ZIP):
        problem = '' if zipfile.is_zipfile(path) else 'is cut short'
    elif start.startswith(_PICKLE) or tarfile.is_tarfile(path):
        problem = ''
    else:
        problem = f'is no checkpoint of torch (it begins with {start!r})'
    if problem:
        raise UserValueError(
            f'{key}={str(source)!r} {problem}: {size} bytes; copy or '
            f'download it again'
        )
