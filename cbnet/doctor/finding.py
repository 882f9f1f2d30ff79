"""One thing that is wrong, and the command that repairs it."""

import os
import re
import shutil
import sys
from pathlib import Path
from typing import Literal, NamedTuple

from packaging.version import Version

from ..compat.owners import Owner


class Finding(NamedTuple):
    """A fault of one package or piece.

    Attributes:
        name: the package or piece; what needs it fails because of it.
        level: how bad it is; an error makes the installation unusable.
        what: the fault, in a sentence.
        repair: a shell command.
    """

    name: str
    level: Literal['error', 'warning']
    what: str
    repair: str


def pin(owner: Owner) -> str:
    """Name a distribution in its installed version, as pip takes it."""
    return f'{owner.distribution}=={Version(owner.version).public}'


def reinstall(owner: Owner) -> str:
    """Give the command that writes a distribution's files again."""
    command = f'pip install --force-reinstall --no-deps {pin(owner)}'
    return beyond_pythonpath(owner.folder, command)


def beyond_pythonpath(folder: Path, command: str, hides: bool = False) -> str:
    """Take a folder out of PYTHONPATH, where pip cannot change anything.

    Args:
        folder: the folder from which Python imports the package.
        command: the repair for a package in any other folder.
        hides: whether the folder hides another copy, which needs no repair.
    """
    folders = os.environ.get('PYTHONPATH', '').split(os.pathsep)
    folders = [name for name in folders if name]
    rest = [name for name in folders if Path(name).resolve() != folder]
    if rest == folders:
        return command
    clean = 'unset PYTHONPATH'
    if rest:
        clean = f"export PYTHONPATH='{os.pathsep.join(rest)}'"
    return clean if hides else f'{clean} && {command}'


def for_this_python(command: str) -> str:
    """Name this Python's pip where the shell would find another one."""
    pip = shutil.which('pip')
    if pip and Path(pip).parent == Path(sys.executable).parent:
        return command
    return re.sub(r'(^|&& )pip ', rf'\1{sys.executable} -m pip ', command)
