"""Refuse a missing, too old or too new stack in one clear sentence."""

import warnings
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from packaging.specifiers import SpecifierSet

from .owners import Owner, in_use, known_owners

DOCTOR = 'CBNET_START=no python -m cbnet.doctor'


class Part(NamedTuple):
    """A package that cbnet needs.

    Attributes:
        oldest: the first version that works.
        install: the requirement that pip is given.
        distributions: all distributions that install the package; the
            onedl-* forks keep the import names of the originals.
    """

    oldest: str
    install: str
    distributions: tuple[str, ...]


STACK = {
    'numpy': Part('1.21', 'numpy>=1.21', ('numpy',)),
    'torch': Part('2.6', 'torch>=2.6', ('torch',)),
    'torchvision': Part('0.21', 'torchvision>=0.21', ('torchvision',)),
    'timm': Part('1.0', 'timm>=1.0', ('timm',)),
    'pycocotools': Part('2.0', 'pycocotools', ('pycocotools',)),
    'mmengine': Part(
        '0.10', 'mmengine==0.10.7', ('mmengine', 'onedl-mmengine')
    ),
    'mmcv': Part(
        '2.0',
        'mmcv-lite==2.1.0',
        ('mmcv-lite', 'mmcv', 'mmcv-full', 'onedl-mmcv'),
    ),
    'mmdet': Part('3.3', 'mmdet==3.3.0', ('mmdet', 'onedl-mmdetection')),
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


def stack_owners() -> dict[str, list[Owner]]:
    """Find the installed distributions behind every name of the stack."""
    return {
        name: in_use(known_owners(part.distributions))
        for name, part in STACK.items()
    }


def find_problems(owners: dict[str, list[Owner]]) -> list[Problem]:
    """List the packages that are missing, too old or too new.

    Args:
        owners: the distributions of each import name, from ``stack_owners``.
    """
    mmdet = {owner.distribution for owner in owners['mmdet']}
    limits = MMDET_NEEDS_BELOW if mmdet == {'mmdet'} else {}
    problems = []
    for name, part in STACK.items():
        needed = f'>= {part.oldest}'
        if name in limits:
            needed += f', < {limits[name]}'
        versions = [owner.version for owner in owners[name]]
        # Of several owners, nobody knows whose files are there.
        if not any(SpecifierSet(needed).filter(versions, prereleases=True)):
            owner = owners[name][0] if versions else None
            problems.append(Problem(name, f'{name} {needed}', owner))
    return problems


def repair_problems(problems: Sequence[Problem]) -> str:
    """Give the one command that installs versions that work."""
    names = {problem.name for problem in problems}
    if names & {'torch', 'torchvision'}:
        names |= {'torch', 'torchvision'}  # each fits one version of the other
    install = [part.install for name, part in STACK.items() if name in names]
    kept = {requirement.partition('==')[0] for requirement in install}
    remove = [
        problem.owner.distribution
        for problem in problems
        if problem.owner
        and len(STACK[problem.name].distributions) > 1
        and problem.owner.distribution not in kept
    ]
    return pip_command(remove, install)


def repair_owners(name: str, owners: Iterable[Owner]) -> str:
    """Give the command that leaves one owner of an import name.

    All owners are removed first, since removing one removes shared files.
    """
    remove = [owner.distribution for owner in owners]
    install = STACK[name].install if name in STACK else remove[0]
    return pip_command(remove, [install])


def pip_command(remove: Sequence[str], install: Sequence[str]) -> str:
    """Write a shell command that removes, then installs, distributions."""
    quoted = [f"'{text}'" if '>' in text else text for text in install]
    commands = [f'pip install {" ".join(quoted)}']
    if remove:
        commands.insert(0, f'pip uninstall -y {" ".join(remove)}')
    return ' && '.join(commands)


def check_versions() -> None:
    """Check that the packages that cbnet needs are there in good versions.

    Warns about a package that two distributions have installed.

    Raises:
        ImportError: names the packages, what was found, what is needed and
            the command that installs it.
    """
    owners = stack_owners()
    problems = find_problems(owners)
    if problems:
        # With this name, `python -m cbnet...` ends without a traceback.
        raise ImportError(
            f'cbnet needs {" and ".join(map(str, problems))}; '
            f'run: {repair_problems(problems)} '
            f'(for everything else that is wrong: {DOCTOR})',
            name='cbnet',
        )
    for name, found in owners.items():
        if len(found) > 1:
            warnings.warn(
                f'{" and ".join(map(str, found))} both install the package '
                f"{name} and overwrite each other's files; "
                f'run: {repair_owners(name, found)}',
                stacklevel=3,
            )
