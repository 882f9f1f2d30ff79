"""Refuse a missing, too old or too new stack in one clear sentence."""

import warnings
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from packaging.version import Version

from .owners import Owner, in_use, known_owners


class Part(NamedTuple):
    """A package below cbnet."""

    oldest: str  # the first version that works
    install: str  # what pip is asked for
    # All that bring the import name; the onedl-* forks keep the names of
    # the packages they replace.
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
# mmdet 3.3.0 asserts these when it is imported; its fork takes newer ones.
MMDET_NEEDS_BELOW = {'mmcv': '2.2', 'mmengine': '1.0'}


class Problem(NamedTuple):
    """A package that is missing or of a version that does not work."""

    name: str
    needed: str  # 'mmcv >= 2.0, < 2.2'
    owner: Owner | None

    def __str__(self) -> str:
        if self.owner is None:
            return f'{self.needed} (found none)'
        if self.owner.distribution == self.name:
            return f'{self.needed} (found {self.owner.version})'
        return f'{self.needed} (found {self.owner})'


def stack_owners() -> dict[str, list[Owner]]:
    """Give the installed distributions behind every name of the stack."""
    owners = {
        name: known_owners(part.distributions) for name, part in STACK.items()
    }
    return {name: found and in_use(found) for name, found in owners.items()}


def find_problems(owners: dict[str, list[Owner]]) -> list[Problem]:
    """List what is missing, too old or too new.

    Args:
        owners: import name -> distributions, from ``stack_owners``.
    """
    mmdet = {owner.distribution for owner in owners['mmdet']}
    limits = MMDET_NEEDS_BELOW if mmdet == {'mmdet'} else {}
    problems = []
    for name, part in STACK.items():
        oldest, below = part.oldest, limits.get(name)
        fits = [
            Version(oldest) <= Version(owner.version)
            and (below is None or Version(owner.version) < Version(below))
            for owner in owners[name]
        ]
        # With several owners nobody knows whose files are there.
        if not any(fits):
            needed = f'{name} >= {oldest}' + (f', < {below}' if below else '')
            owner = owners[name][0] if owners[name] else None
            problems.append(Problem(name, needed, owner))
    return problems


def mend_problems(problems: Sequence[Problem]) -> str:
    """Give the one command that installs what fits."""
    names = {problem.name for problem in problems}
    if names & {'torch', 'torchvision'}:
        names |= {'torch', 'torchvision'}  # each version fits one of the other
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


def mend_owners(name: str, owners: Iterable[Owner]) -> str:
    """Give the command that leaves one owner of an import name.

    Removing one alone would take the files of the other with it.
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
    """Check that the packages below cbnet are there and of the right age.

    Warns where two distributions bring one of them.

    Raises:
        ImportError: names the packages, what was found, what is needed and
            the command that installs it.
    """
    owners = stack_owners()
    problems = find_problems(owners)
    if problems:
        raise ImportError(
            f'cbnet needs {" and ".join(map(str, problems))}; '
            f'run: {mend_problems(problems)} '
            '(python -m cbnet.doctor looks at the rest)'
        )
    for name, found in owners.items():
        if len(found) > 1:
            warnings.warn(
                f'{" and ".join(map(str, found))} both bring the package '
                f"{name} and overwrite each other's files; "
                f'run: {mend_owners(name, found)}',
                stacklevel=3,
            )
