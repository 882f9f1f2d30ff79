"""Readers of arguments, for the ``type`` of an option."""

import math
import os
import re
from argparse import ArgumentTypeError
from collections.abc import Callable
from pathlib import Path


def at_least(least: int, most: float = math.inf) -> Callable[[str], int]:
    """Make a reader of whole numbers from ``least`` to ``most``."""

    def read(text: str) -> int:
        if not text.removeprefix('-').isdecimal() or int(text) < least:
            raise ArgumentTypeError(f'{text}, expected {least} or more')
        if int(text) > most:
            raise ArgumentTypeError(f'{text}, expected {most} or less')
        return int(text)

    return read


def factor(text: str) -> float:
    """Read a number above 0 and up to 8."""
    value = float(text)
    if not 0 < value <= 8:
        raise ArgumentTypeError(f'{text}, expected above 0 and up to 8')
    return value


def fraction(text: str) -> float:
    """Read a number from 0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise ArgumentTypeError(f'{text}, expected a number from 0 to 1')
    return value


def shared_stages(text: str) -> int | str | None:
    """Read a number of stages, ``none`` or ``published``."""
    text = text.lower()
    if text in ('none', 'published'):
        return None if text == 'none' else text
    if not text.isdecimal():
        raise ArgumentTypeError(f'{text!r} is neither a number nor none')
    return int(text)


def local_file(text: str) -> Path:
    """Read the path of a file that exists."""
    if not Path(text).is_file():
        raise ArgumentTypeError(f'no file {text}')
    return Path(text)


def file_or_address(text: str) -> str:
    """Read the path of a file that exists, or an address."""
    return text if '://' in text else str(local_file(text))


def new_file(*suffixes: str) -> Callable[[str], Path]:
    """Make a reader of paths of files to write, which may exist.

    Args:
        suffixes: what the paths end in; none: anything.
    """

    def read(text: str) -> Path:
        if suffixes and not text.endswith(suffixes):
            expected = ' or '.join(suffixes)
            raise ArgumentTypeError(f'{text} must end in {expected}')
        if Path(text).is_dir():
            raise ArgumentTypeError(f'{text} is a folder; name a file')
        _refuse_files(text, Path(text).parent)
        return Path(text)

    read.writes = True  # the parser compares it with what is read
    return read


def new_folder(text: str) -> Path:
    """Read the path of a folder to write into, which may exist."""
    folder = Path(text)
    _refuse_files(text, folder)
    there = (one for one in (folder, *folder.parents) if one.exists())
    nearest = next(there, Path())
    if not os.access(nearest, os.W_OK):  # now, and not after hours of work
        raise ArgumentTypeError(
            f'{text}: you may not write into {nearest}; name another folder'
        )
    return folder


def _refuse_files(text: str, folder: Path) -> None:
    for above in (folder, *folder.parents):
        if above.exists() and not above.is_dir():
            where = '' if text == str(above) else f'{text}: '
            raise ArgumentTypeError(f'{where}{above} is a file; name a folder')


def scale(text: str) -> tuple[int, int]:
    """Read the width and the height of an image, in pixels."""
    match = re.fullmatch(r'([1-9]\d*),([1-9]\d*)', text)
    if not match:
        raise ArgumentTypeError(
            f'{text!r} is not a scale; give width,height in pixels, such as '
            f'1600,1400'
        )
    return int(match[1]), int(match[2])


def share(text: str) -> tuple[int, int]:
    """Read ``I/N``, the share I of N."""
    found = re.fullmatch(r'(\d+)/(\d+)', text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise ArgumentTypeError(
            f'{text!r}, expected I/N with I from 1 to N, such as 2/8'
        )
    return int(found[1]), int(found[2])
