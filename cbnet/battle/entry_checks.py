"""Refuse entries that could not be run, before anything is built."""

from pathlib import Path

from ..errors import UserValueError
from .entries import Entry

#: the bytes of a file's name that file systems take, less what is added
_LONGEST = 200
#: how the names of an entry's other configs end
_CONFIGS = '.val', '.corrupted'


def check_name(entry: Entry) -> None:
    """Refuse a name that cannot be the name of a folder.

    Raises:
        ValueError: it is too long, nothing but dots is left of it, or it
            ends as the names of other files do.
    """
    if not entry.folder.strip('.'):
        raise UserValueError(
            f'{entry.title} gives the folder of its runs no name; expected a '
            f'name with a letter or a digit: name=...'
        )
    if entry.folder.lower().endswith(_CONFIGS):
        raise UserValueError(
            f'{entry.title} would have its configs mixed up with those of '
            f'another entry, whose names end in {" and ".join(_CONFIGS)}; '
            f'give it another name: name=...'
        )
    size = len(entry.folder.encode())
    if size > _LONGEST:
        raise UserValueError(
            f'{entry.title} names the folder of its runs with {size} bytes, '
            f'expected {_LONGEST} or fewer; give it a shorter name: name=...'
        )


def check_weight_files(entry: Entry) -> None:
    """Refuse a file of weights that is not there; addresses are not tried.

    Raises:
        ValueError: says which one.
    """
    for member in entry.members:
        file = member.weights
        if file and '://' not in file and not Path(file).is_file():
            raise UserValueError(
                f'{entry.title}: no file {file}; give the weights of '
                f'{member.name} as a file or an address: '
                f'{member.spelt}=FILE'
            )
