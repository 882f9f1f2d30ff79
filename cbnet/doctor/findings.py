"""Find what is wrong with an installation, and the commands that repair it."""

import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Literal, NamedTuple

from packaging.requirements import Requirement
from packaging.version import Version

import cbnet

from ..compat.owners import Owner
from ..compat.versions import (
    find_problems,
    repair_owners,
    repair_problems,
    shared_packages,
)
from ..messages import one_line
from .probes import PIECES, REINSTALL, Facts

Owners = dict[str, list[Owner]]
Results = dict[str, Facts]
# People do install several builds of these side by side.
HARMLESS = ('cv2', 'PIL')
# The packages of the pieces that have another name.
PACKAGES = {
    'devices': 'torch',
    'mmcv.ops': 'mmcv',
    'pkg_resources': 'setuptools',
    'mmdet::': 'mmdet',
    'cbnet::': 'cbnet',
}
# How compiled modules complain about a numpy that they were not built for.
OTHER_NUMPY = (
    r'numpy\.dtype size changed|_ARRAY_API|compiled using NumPy'
    '|multiarray failed to import'
)


class Finding(NamedTuple):
    """A fault of one package or piece.

    Attributes:
        name: the package or piece; what needs it fails because of it.
        level: how bad it is; an error makes the installation unusable.
        what: the fault, in a sentence.
        repair: a shell command.
        folder: the folder of the package, if the command changes it there.
    """

    name: str
    level: Literal['error', 'warning']
    what: str
    repair: str
    folder: str | None = None


def find_faults(owners: Owners, results: Results) -> list[Finding]:
    """Judge what is installed and what the probes found, errors first.

    A piece that fails because of another one gets no finding of its own.

    Args:
        owners: the owners of each import name, in the order of ``sys.path``.
        results: the result of each piece, from ``run_probes``.
    """
    findings = list(_installed(owners, 'error' not in results['torchvision']))
    blamed = {found.name for found in findings if found.level == 'error'}
    for name, result in results.items():
        judge = _failure if 'error' in result else _other_files
        because = blamed & {name, *PIECES[name].needs.split()}
        finding = None if because else judge(name, results, owners)
        if finding:
            findings.append(finding)
            blamed |= {name, finding.name}
        elif because and 'error' in result:
            blamed.add(name)
    findings += _devices(results['devices'])
    findings.sort(key=lambda finding: finding.level)
    return [_runnable(finding, owners) for finding in findings]


def _installed(owners: Owners, torchvision_loads: bool) -> Iterator[Finding]:
    """Judge the metadata of the installed distributions."""
    problems = find_problems(owners)
    for problem in problems:
        name, what, folder = problem.name, f'cbnet needs {problem}', None
        if problem.owner:
            folder = str(problem.owner.folder)
            what += f', in {folder}'
            hidden = [o for o in owners[name] if str(o.folder) != folder]
            if hidden:
                what += f'; it hides {hidden[0]} in {hidden[0].folder}'
        yield Finding(name, 'error', what, repair_problems([problem]), folder)
    for name, used, what in shared_packages(owners):
        level = 'warning' if name in HARMLESS else 'error'
        folder = str(used[0].folder)
        what += f' in {folder}'
        yield Finding(name, level, what, repair_owners(name, used), folder)
    if {'torch', 'torchvision'} & {problem.name for problem in problems}:
        return
    torch, torchvision = owners['torch'][0], owners['torchvision'][0]
    for need in map(Requirement, metadata.requires('torchvision') or []):
        if need.name == 'torch' and not need.specifier.contains(
            torch.version, prereleases=True
        ):
            yield Finding(
                'torchvision',
                'warning' if torchvision_loads else 'error',
                f'{torchvision} is built for {need}, found {torch}',
                f'pip install --upgrade {torch.pin} torchvision',
            )


def _failure(name: str, results: Results, owners: Owners) -> Finding | None:
    """Explain why a piece fails although the pieces that it needs load."""
    error, level = results[name]['error'], 'error'
    _, _, what, repair = PIECES[name]
    package = PACKAGES.get(name, name)
    installed = {name: found[0] for name, found in owners.items() if found}
    owner = installed.get(package)
    fields = {**installed, 'owner': owner or f'no {package}'}
    if name == 'cbnet::' and not owner:
        # A clone works without this prefix, through configs' paths.
        level, error = 'warning', 'cbnet is not installed'
    elif not owner and package not in ('cbnet', 'setuptools'):
        return None  # the pieces that need it report this
    elif name == package != 'numpy' and re.search(OTHER_NUMPY, error):
        what = '{owner} is built for another numpy than {numpy.version}'
        repair = REINSTALL.replace('owner.pin', 'owner.distribution')
        repair = repair.replace('install', 'install --upgrade', 1)
    elif not what and re.search(f"No module named '{package}['.]", error):
        what = '{owner} is installed but its files are gone'
    elif not what and 'No module named' in error:
        repair = 'pip install {owner.pin}'  # with what it depends on
    what = (what or '{owner} does not load').format_map(fields)
    if package == 'cbnet':
        repair = _install_cbnet(owner)
    else:
        repair = repair.format_map(fields)
    return Finding(
        name if name in ('cbnet::', 'mmcv.ops') else package,
        level,
        f'{what}: {one_line(error, 200)}',
        repair,
        str(owner.folder) if owner else None,
    )


def _other_files(
    name: str, results: Results, owners: Owners
) -> Finding | None:
    """Find files of another version than the distribution's."""
    version = results[name].get('version')
    # The version of cv2 has one number less than its distribution's.
    if name in ('cv2', 'cbnet') or not version or not owners.get(name):
        return None
    owner, file = owners[name][0], results[name]['file']
    if Version(version).public == Version(owner.version).public:
        return None
    what = (
        f'{owner} is installed in {owner.folder}, but the files that Python '
        f'loads are of version {version}: {file}'
    )
    folder = str(Path(file).resolve().parents[1])
    return Finding(name, 'error', what, REINSTALL.format(owner=owner), folder)


def _devices(result: Facts) -> Iterator[Finding]:
    for device in result.get('devices', []):
        if device['error']:
            yield Finding(
                device['name'],
                'error',
                f'{device["name"]} ({device["description"]}) does not '
                f'compute: {device["error"]}',
                'pip install --upgrade torch torchvision',
            )
    if driver := result.get('unused_driver'):
        what = f'there is an NVIDIA driver, but torch cannot use it: {driver}'
        repair = 'pip install --force-reinstall torch torchvision'
        if result['cuda']:
            what += f'; update the driver to one for CUDA {result["cuda"]}'
            # No command updates it on every system; this one names it.
            repair = 'nvidia-smi'
        yield Finding('cuda', 'warning', what, repair)


def _install_cbnet(owner: Owner | None) -> str:
    root = Path(cbnet.__file__).parents[1]
    if not owner or (root / 'setup.py').is_file():
        return f"pip install --no-deps -e '{root}'"
    command = REINSTALL.format(owner=owner)
    # pip records here from which wheel or repository it installed cbnet.
    record = metadata.distribution('cbnet').read_text('direct_url.json')
    if not record:
        return command
    source = json.loads(record)
    kind = f'{source["vcs_info"]["vcs"]}+' if 'vcs_info' in source else ''
    return command.replace(owner.pin, f'{kind}{source["url"]}')


def _runnable(finding: Finding, owners: Owners) -> Finding:
    """Make the command work in the user's shell.

    pip cannot change a package that PYTHONPATH names, so its folder is taken
    out; if this uncovers another copy, it is all that the repair needs.
    """
    command, folder = finding.repair, finding.folder
    # Name this Python's pip where the shell would find another one.
    pip = shutil.which('pip')
    if not pip or Path(pip).parent != Path(sys.executable).parent:
        this = f'{sys.executable} -m pip '
        command = re.sub('(^|&& )pip ', lambda found: found[1] + this, command)
    paths = filter(None, os.environ.get('PYTHONPATH', '').split(os.pathsep))
    kept = {path: str(Path(path).resolve()) != folder for path in paths}
    if not all(kept.values()):
        rest = os.pathsep.join(path for path in kept if kept[path])
        clean = f"export PYTHONPATH='{rest}'" if rest else 'unset PYTHONPATH'
        copies = owners.get(finding.name, [])
        hides = any(str(owner.folder) != folder for owner in copies)
        command = clean if hides else f'{clean} && {command}'
    return finding._replace(repair=command)
