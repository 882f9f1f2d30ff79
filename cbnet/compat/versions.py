"""Refuse a missing, too old or too new stack in one clear sentence."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from packaging.specifiers import SpecifierSet

from .owners import Owner, every_owner, in_use

DOCTOR = 'CBNET_START=no python -m cbnet.doctor'


class Part(NamedTuple):
    """A package that cbnet needs.

    Attributes:
        oldest: the first version that works.
        install: the requirement that pip is given.
    """

    oldest: str
    install: str


STACK = {
    'numpy': Part('1.21', 'numpy>=1.21'),
    'torch': Part('2.6', 'torch>=2.6'),
    'torchvision': Part('0.21', 'torchvision>=0.21'),
    'timm': Part('1.0.26', 'timm>=1.0.26'),
    'pycocotools': Part('2.0', 'pycocotools'),
    'mmengine': Part('0.10', 'mmengine==0.10.7'),
    'mmcv': Part('2.0', 'mmcv-lite==2.1.0'),
    'mmdet': Part('3.3', 'mmdet==3.3.0'),
}
# mmdet 3.3.0 asserts these when it is imported; its fork does not.
MMDET_NEEDS_BELOW = {'mmcv': '2.2', 'mmengine': '1.0'}


class Problem(NamedTuple):
    """A package that is missing or of a version that does not work.

    Attributes:
        name: its import name.
        needed: its name and the versions that work, ``mmcv >= 2.0, < 2.2``.
        owner: the installed distribution, if there is one.
    """

    name: str
    needed: str
    owner: Owner | None

    def __str__(self) -> str:
        found = self.owner or 'none'
        if self.owner and self.owner.distribution == self.name:
            found = self.owner.version
        return f'{self.needed} (found {found})'


def find_problems(owners: dict[str, list[Owner]]) -> list[Problem]:
    """List the packages that are missing, too old or too new."""
    mmdet = {owner.distribution for owner in in_use(owners['mmdet'])}
    limits = MMDET_NEEDS_BELOW if mmdet == {'mmdet'} else {}
    problems = []
    for name, part in STACK.items():
        needed = f'>= {part.oldest}'
        if name in limits:
            needed += f', < {limits[name]}'
        used = in_use(owners[name])
        versions = [owner.version for owner in used]
        # Of several owners, nobody knows which one's files are there.
        if not any(SpecifierSet(needed).filter(versions, prereleases=True)):
            owner = used[0] if used else None
            problems.append(Problem(name, f'{name} {needed}', owner))
    return problems


def repair_problems(problems: Sequence[Problem]) -> str:
    """Give the one command that installs versions that work."""
    from packaging.requirements import Requirement  # late: it takes long

    names = {problem.name for problem in problems}
    if names & {'torch', 'torchvision'}:
        names |= {'torch', 'torchvision'}  # releases come in pairs
    install = [part.install for name, part in STACK.items() if name in names]
    kept = {Requirement(text).name for text in install}
    owners = [problem.owner for problem in problems if problem.owner]
    remove = [o.distribution for o in owners if o.distribution not in kept]
    return _pip_command(remove, install)


def repair_owners(name: str, owners: Iterable[Owner]) -> str:
    """Give the command that leaves one owner of an import name.

    All owners are removed first, since removing one removes shared files.
    """
    remove = [owner.distribution for owner in owners]
    install = STACK[name].install if name in STACK else remove[0]
    return _pip_command(remove, [install])


def _pip_command(remove: Sequence[str], install: Sequence[str]) -> str:
    quoted = [f"'{text}'" if '>' in text else text for text in install]
    commands = [f'pip install {" ".join(quoted)}']
    if remove:
        commands.insert(0, f'pip uninstall -y {" ".join(remove)}')
    return ' && '.join(commands)


def shared_packages(
    owners: dict[str, list[Owner]],
) -> Iterator[tuple[str, list[Owner], str]]:
    """Yield the packages with several owners, these, and what is wrong."""
    for name, found in owners.items():
        if len(used := in_use(found)) > 1:
            what = (
                f'{" and ".join(map(str, used))} both install the package '
                f"{name} and overwrite each other's files"
            )
            yield name, used, what


def check_versions() -> None:
    """Check that the packages that cbnet needs have versions that work.

    Warns about a package that two distributions have installed.

    Raises:
        ImportError: names the packages, what was found, what is needed and
            the command that installs it.
    """
    owners = every_owner(STACK)
    problems = find_problems(owners)
    if problems:
        # With this name, `python -m cbnet.doctor` shows no traceback.
        raise ImportError(
            f'cbnet needs {" and ".join(map(str, problems))}; '
            f'run: {repair_problems(problems)} '
            f'(for everything else that is wrong: {DOCTOR})',
            name='cbnet',
        )
    for name, used, what in shared_packages(owners):
        warnings.warn(
            f'{what}; run: {repair_owners(name, used)}', stacklevel=3
        )
