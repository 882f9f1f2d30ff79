"""Which installed distributions bring an import name, and from where.

Distributions that bring the same name overwrite each other's files without
a word: ``mmcv``, ``mmcv-lite`` and their forks, the builds of ``cv2``.
"""

import sys
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from packaging.utils import canonicalize_name


class Owner(NamedTuple):
    """A distribution that brings an import name."""

    distribution: str
    version: str
    folder: Path  # what sys.path holds: site-packages, ...

    def __str__(self) -> str:
        return f'{self.distribution} {self.version}'


def known_owners(distributions: Iterable[str]) -> list[Owner]:
    """Give those of some distributions that are installed, by name alone.

    It takes well under a millisecond a name; ``every_owner`` reads the
    records of everything that is installed.
    """
    owners = []
    for name in distributions:
        for distribution in metadata.distributions(name=name):
            owners += _owner(distribution)
            break  # what sys.path finds first; others are hidden by it
    return sorted(owners, key=_position)


def every_owner(modules: Sequence[str]) -> dict[str, list[Owner]]:
    """Find all distributions that bring some import names, known or not.

    Args:
        modules: import names.

    Returns:
        Import name -> its owners, in the order of ``sys.path``.
    """
    owners: dict[str, list[Owner]] = {module: [] for module in modules}
    for distribution in metadata.distributions():
        for module in set(modules) & _modules(distribution):
            for owner in _owner(distribution):
                if owner not in owners[module]:
                    owners[module].append(owner)
    return owners


def in_use(owners: Sequence[Owner]) -> list[Owner]:
    """Keep the owners in the folder that Python imports from.

    The others are hidden by it, as a virtual environment hides what the
    system has.  More than one that is left: they share files.
    """
    first = [owner for owner in owners if owner.folder == owners[0].folder]
    names = {canonicalize_name(owner.distribution): owner for owner in first}
    return sorted(names.values())


def _owner(distribution: metadata.Distribution) -> list[Owner]:
    """Describe a distribution; one without metadata is what pip left."""
    fields = distribution.metadata
    name, version = fields.get('Name'), fields.get('Version')
    if not name or not version:
        return []
    folder = Path(str(distribution.locate_file(''))).resolve()
    return [Owner(name, version, folder)]


def _position(owner: Owner) -> int:
    folders = [Path(folder).resolve() for folder in sys.path]
    return folders.index(owner.folder) if owner.folder in folders else 0


def _modules(distribution: metadata.Distribution) -> set[str]:
    """Give the import names of its packages.

    ``metadata.packages_distributions`` passes over, in Python 3.10, what
    has no top_level.txt, as most builders write none.
    """
    declared = distribution.read_text('top_level.txt') or ''
    record = distribution.read_text('RECORD') or ''
    found = {
        line.split('/', 1)[0]
        for line in record.splitlines()
        if '/__init__.py,' in line
    }
    return found | set(declared.split())
