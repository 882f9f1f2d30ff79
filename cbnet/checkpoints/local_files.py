"""Recognise local files that cannot be complete checkpoints, or changed."""

import hashlib
import os
import zipfile
from pathlib import Path

from ..compat.checked_files import require_readable
from ..errors import UserValueError
from ..messages import shortened

_ZIP, _PICKLE = b'PK', b'\x80'


def require_checkpoint(source: str | os.PathLike[str], key: str) -> None:
    """Refuse a local file that is missing, cut short or no checkpoint.

    torch writes zip files, whose table of contents comes last.  Its former
    format has no recognisable end and is left to the loader.

    Args:
        source: the value in a config; addresses (``https://``) pass.
        key: the name of the setting, for errors.

    Raises:
        FileNotFoundError: the file does not exist.
        UserFileError: it is a folder, a pipe, or a loop of links.
        ValueError: the file is cut short or is no checkpoint.
    """
    path = Path(source)
    # os.path.exists, unlike that of Path, takes names of any length.
    if ':' in str(source) and not os.path.exists(path):
        return
    require_readable(path, f'{key}={shortened(repr(str(source)), 300)}')
    if path.suffix == '.safetensors':
        return  # its loader checks the length
    with open(path, 'rb') as file:
        start = file.read(16)
    if start.startswith(_ZIP) and not zipfile.is_zipfile(path):
        problem = 'is cut short'
    elif start.startswith((_ZIP, _PICKLE)):
        return
    else:
        problem = f'is no checkpoint of torch (it begins with {start!r})'
    raise UserValueError(
        f'{key}={str(source)!r} {problem}: {path.stat().st_size} bytes; copy '
        f'or download it again'
    )


def file_hash(path: str | os.PathLike[str]) -> str:
    """Compute the SHA-256 of a file, in hexadecimal digits."""
    done = hashlib.sha256()
    with open(path, 'rb') as file:
        while part := file.read(1 << 20):
            done.update(part)
    return done.hexdigest()
