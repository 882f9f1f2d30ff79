"""Find which installed distributions own a package, and in which folder.

Distributions that install the same package overwrite each other's files
silently: ``mmcv``, ``mmcv-lite`` and their forks, or the builds of ``cv2``.
"""

import re
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from packaging.utils import canonicalize_name
from packaging.version import Version


class Owner(NamedTuple):
    """A distribution that installs a package.

    Attributes:
        distribution: its name, as pip takes it.
        version: its version.
        folder: the entry of ``sys.path`` that holds it.
    """

    distribution: str
    version: str
    folder: Path

    def __str__(self) -> str:
        return f'{self.distribution} {self.version}'

    @property
    def pin(self) -> str:
        """The distribution in this version, as pip takes it."""
        return f'{self.distribution}=={Version(self.version).public}'


def every_owner(modules: Iterable[str]) -> dict[str, list[Owner]]:
    """Find the owners of each import name, in the order of ``sys.path``."""
    owners: dict[str, list[Owner]] = {module: [] for module in modules}
    for distribution in metadata.distributions():
        name, version = _name_and_version(distribution)
        if not name or not version:
            continue  # pip may leave a folder without metadata behind
        folder = Path(str(distribution.locate_file(''))).resolve()
        owner = Owner(name, version, folder)
        found = _modules(distribution, owners)
        for module in owners.keys() & {name, *found}:
            if owner not in owners[module]:
                owners[module].append(owner)
    return owners


def in_use(owners: Sequence[Owner]) -> list[Owner]:
    """Keep the owners in the folder from which Python imports.

    That folder hides the others, as a virtual environment hides the packages
    of the system.  If more than one owner is left, they share files.
    """
    names = {
        canonicalize_name(owner.distribution): owner
        for owner in owners
        if owner.folder == owners[0].folder
    }
    return sorted(names.values())


def _name_and_version(
    distribution: metadata.Distribution,
) -> tuple[str, str]:
    """Read two of the headers, many times as fast as the whole metadata."""
    names = ('METADATA', 'PKG-INFO', '')  # of a wheel, of an egg, a file
    texts = (distribution.read_text(name) for name in names)
    headers = next(filter(None, texts), '').partition('\n\n')[0]
    found = {
        name: value.strip()
        for name, value in re.findall(r'^(\w+):(.*)$', headers, re.M)
    }
    return found.get('Name', ''), found.get('Version', '')


def _modules(
    distribution: metadata.Distribution, wanted: Iterable[str]
) -> set[str]:
    """List those of some packages that a distribution installs.

    ``metadata.packages_distributions`` of Python 3.10 skips distributions
    without a top_level.txt, which most build tools no longer write.
    """
    declared = (distribution.read_text('top_level.txt') or '').split()
    record = f'\n{distribution.read_text("RECORD") or ""}'
    return {
        module
        for module in wanted
        if module in declared or f'\n{module}/__init__.py,' in record
    }
