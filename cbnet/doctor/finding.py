"""One thing that is wrong, and the command that mends it."""

import os
import shutil
import sys
from pathlib import Path
from typing import Literal, NamedTuple

from packaging.version import Version

from cbnet.compat.owners import Owner


class Finding(NamedTuple):
    """What the doctor says about one thing."""

    name: str  # the package or piece; what needs it fails with it
    level: Literal['error', 'warning']
    what: str
    mend: str


def reinstall(owner: Owner) -> str:
    """Give the command that writes a distribution's files once more."""
    pin = f'{owner.distribution}=={Version(owner.version).public}'
    command = f'pip install --force-reinstall --no-deps {pin}'
    return beyond_pythonpath(owner.folder, command)


def beyond_pythonpath(folder: Path, command: str, hides: bool = False) -> str:
    """Take a folder out of PYTHONPATH, where pip neither writes nor removes.

    Args:
        folder: where Python imports the package from.
        command: what mends a package in any other place.
        hides: whether there is another copy behind the folder.
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
    """Make ``pip`` the one of the Python that runs, also when called by path.

    Returns:
        The command as it is, if the shell finds the right pip.
    """
    pip = shutil.which('pip')
    if pip and Path(pip).parent == Path(sys.executable).parent:
        return command
    parts = [
        f'{sys.executable} -m {part}' if part.startswith('pip ') else part
        for part in command.split(' && ')
    ]
    return ' && '.join(parts)
