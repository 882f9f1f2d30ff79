"""Findings that need no loading: what is installed, and by whom."""

import importlib.util
from collections.abc import Iterator
from importlib import metadata

from packaging.requirements import Requirement
from packaging.version import Version

from cbnet.compat.owners import Owner, in_use
from cbnet.compat.versions import (
    Problem,
    find_problems,
    mend_owners,
    mend_problems,
    stack_owners,
)

from .finding import Finding, beyond_pythonpath

# Builds of one library that people do install side by side.
HARMLESS = ('cv2', 'PIL')

Owners = dict[str, list[Owner]]


def installed_findings(owners: Owners) -> Iterator[Finding]:
    """Judge the installed distributions.

    Args:
        owners: import name -> all its owners, in the order of ``sys.path``.
    """
    for problem in find_problems(stack_owners()):
        yield _version_finding(problem, owners[problem.name])
    for name, found in owners.items():
        if found and len(in_use(found)) > 1:
            yield _clash_finding(name, found)
    yield from _setuptools_findings(owners)


def _version_finding(problem: Problem, owners: list[Owner]) -> Finding:
    what, mend = f'cbnet needs {problem}', mend_problems([problem])
    if problem.owner:
        folder = problem.owner.folder
        hidden = [owner for owner in owners if owner.folder != folder]
        mend = beyond_pythonpath(folder, mend, hides=bool(hidden))
        what += f', in {folder}'
        if hidden:
            what += f'; it hides {hidden[0]} in {hidden[0].folder}'
    return Finding(problem.name, 'error', what, mend)


def _clash_finding(name: str, owners: list[Owner]) -> Finding:
    used = in_use(owners)
    folder = used[0].folder
    hides = any(owner.folder != folder for owner in owners)
    return Finding(
        name,
        'warning' if name in HARMLESS else 'error',
        f'{" and ".join(map(str, used))} both bring the package {name} and '
        f"overwrite each other's files in {folder}",
        beyond_pythonpath(folder, mend_owners(name, used), hides),
    )


def _setuptools_findings(owners: Owners) -> Iterator[Finding]:
    if importlib.util.find_spec('pkg_resources') is None:
        found = in_use(owners['setuptools']) if owners['setuptools'] else []
        yield Finding(
            'setuptools',
            'error',
            'mmengine resolves config prefixes (mmdet::, cbnet::) through '
            'pkg_resources, which setuptools has until 81; found '
            + (' and '.join(map(str, found)) or 'no setuptools'),
            "pip install 'setuptools<82'",
        )


def torch_of_torchvision() -> Requirement | None:
    """Give the torch that the installed torchvision was built for."""
    try:
        needs = metadata.requires('torchvision') or []
    except metadata.PackageNotFoundError:
        return None
    found = [Requirement(text) for text in needs]
    return next((need for need in found if need.name == 'torch'), None)


def torchvision_finding(owners: Owners, loads: bool) -> Iterator[Finding]:
    """Compare torchvision's torch with the installed one.

    Args:
        owners: import name -> owners.
        loads: whether it works all the same.
    """
    needs = torch_of_torchvision()
    if not (needs and owners['torch'] and owners['torchvision']):
        return
    torch, torchvision = owners['torch'][0], owners['torchvision'][0]
    if not needs.specifier.contains(torch.version, prereleases=True):
        yield Finding(
            'torchvision',
            'warning' if loads else 'error',
            f'{torchvision} is built for {needs}, found {torch}',
            f'pip install --upgrade torch=={Version(torch.version).public} '
            'torchvision',
        )
