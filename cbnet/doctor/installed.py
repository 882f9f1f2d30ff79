"""Findings from the metadata of what is installed; nothing is loaded."""

import importlib.util
from collections.abc import Iterator
from importlib import metadata

from packaging.requirements import Requirement

from ..compat.owners import Owner, in_use
from ..compat.versions import (
    find_problems,
    repair_owners,
    repair_problems,
)
from .finding import Finding, beyond_pythonpath, pin

# People do install several builds of these side by side.
HARMLESS = ('cv2', 'PIL')
Owners = dict[str, list[Owner]]


def installed_findings(
    owners: Owners, torchvision_loads: bool
) -> Iterator[Finding]:
    """Judge the installed distributions.

    Args:
        owners: the owners of each import name, in the order of ``sys.path``.
        torchvision_loads: whether torchvision works.
    """
    problems = find_problems(owners)
    for problem in problems:
        what, repair = f'cbnet needs {problem}', repair_problems([problem])
        if problem.owner:
            folder = problem.owner.folder
            hidden = [o for o in owners[problem.name] if o.folder != folder]
            repair = beyond_pythonpath(folder, repair, hides=bool(hidden))
            what += f', in {folder}'
            if hidden:
                what += f'; it hides {hidden[0]} in {hidden[0].folder}'
        yield Finding(problem.name, 'error', what, repair)
    for name, found in owners.items():
        if len(used := in_use(found)) > 1:
            folder, hides = used[0].folder, found[-1].folder != found[0].folder
            yield Finding(
                name,
                'warning' if name in HARMLESS else 'error',
                f'{" and ".join(map(str, used))} both install the package '
                f"{name} and overwrite each other's files in {folder}",
                beyond_pythonpath(folder, repair_owners(name, used), hides),
            )
    if importlib.util.find_spec('pkg_resources') is None:
        found = ' and '.join(map(str, in_use(owners['setuptools'])))
        yield Finding(
            'setuptools',
            'error',
            'mmengine resolves config prefixes (mmdet::, cbnet::) with '
            'pkg_resources, which setuptools contains up to version 81; '
            f'found {found or "no setuptools"}',
            "pip install 'setuptools<82'",
        )
    if not {'torch', 'torchvision'} & {problem.name for problem in problems}:
        torch, torchvision = owners['torch'][0], owners['torchvision'][0]
        for need in map(Requirement, metadata.requires('torchvision') or []):
            if need.name == 'torch' and not need.specifier.contains(
                torch.version, prereleases=True
            ):
                yield Finding(
                    'torchvision',
                    'warning' if torchvision_loads else 'error',
                    f'{torchvision} is built for {need}, found {torch}',
                    f'pip install --upgrade {pin(torch)} torchvision',
                )
