"""Find what is wrong with an installation, and the commands that repair it."""

import importlib.util
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

from ..compat.owners import Owner, in_use
from ..compat.versions import (
    find_problems,
    repair_owners,
    repair_problems,
    shared_packages,
)
from ..messages import one_line
from .probes import PIECES, Facts

Owners = dict[str, list[Owner]]
Results = dict[str, Facts]
# People do install several builds of these side by side.
HARMLESS = ('cv2', 'PIL')
# How compiled modules complain about a numpy that they were not built for.
NUMPY_COMPLAINTS = (
    'numpy.dtype size changed',
    '_ARRAY_API',
    'compiled using NumPy',
    'multiarray failed to import',
)


class Finding(NamedTuple):
    """A fault of one package or piece.

    Attributes:
        name: the package or piece; what needs it fails because of it.
        level: how bad it is; an error makes the installation unusable.
        what: the fault, in a sentence.
        repair: a shell command.
    """

    name: str
    level: Literal['error', 'warning']
    what: str
    repair: str


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
        finding = None
        if blamed & {name, *PIECES[name]}:
            blamed |= {name} if 'error' in result else set()
        elif 'error' in result:
            finding = _failure(name, results, owners)
        elif result.get('version'):
            finding = _other_files(name, result, owners)
        if finding:
            blamed |= {name, finding.name}
            findings.append(finding)
    findings += _devices(results['devices'])
    return [
        finding._replace(repair=_for_this_python(finding.repair))
        for finding in sorted(findings, key=lambda finding: finding.level)
    ]


def _installed(owners: Owners, torchvision_loads: bool) -> Iterator[Finding]:
    """Judge the metadata of the installed distributions."""
    problems = find_problems(owners)
    for problem in problems:
        what, repair = f'cbnet needs {problem}', repair_problems([problem])
        if problem.owner:
            folder = problem.owner.folder
            hidden = [o for o in owners[problem.name] if o.folder != folder]
            repair = _beyond_pythonpath(folder, repair, hides=bool(hidden))
            what += f', in {folder}'
            if hidden:
                what += f'; it hides {hidden[0]} in {hidden[0].folder}'
        yield Finding(problem.name, 'error', what, repair)
    for name, used, what in shared_packages(owners):
        folder = used[0].folder
        hides = owners[name][-1].folder != folder
        repair = _beyond_pythonpath(folder, repair_owners(name, used), hides)
        level = 'warning' if name in HARMLESS else 'error'
        yield Finding(name, level, f'{what} in {folder}', repair)
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
                f'pip install --upgrade {_pin(torch)} torchvision',
            )


def _failure(name: str, results: Results, owners: Owners) -> Finding | None:
    """Explain why a piece fails although the pieces that it needs load."""
    text, missing = results[name]['error'], results[name]['missing']
    error, torch = one_line(text, 200), results['torch'].get('version')
    package = 'torch' if name == 'devices' else name.partition('.')[0]
    package = package.removesuffix('::')
    installed = owners.get(package)
    if package == 'cbnet':
        what, level = 'cbnet does not start', 'error'
        if name == 'cbnet::':
            what = 'configs cbnet:: do not resolve'
            if not installed:
                # A clone works without this prefix, through configs' paths.
                level, error = 'warning', 'cbnet is not installed'
        return Finding(name, level, f'{what}: {error}', _install_cbnet(owners))
    if name == 'mmcv.ops':
        what = (
            'the compiled module of mmcv does not load; it was built for '
            f'another torch or CUDA than torch {torch}: {error}'
        )
        return Finding(name, 'error', what, repair_owners('mmcv', installed))
    if not installed:
        return None  # the pieces that need it report this
    owner = installed[0]
    what, repair = f'{owner} does not load', _reinstall(owner)
    if name == 'mmdet::':
        what = 'configs mmdet:: do not resolve'
    elif any(complaint in text for complaint in NUMPY_COMPLAINTS):
        numpy = results['numpy'].get('version')
        what = f'{owner} is built for another numpy than {numpy}'
        repair = repair.replace('install', 'install --upgrade', 1)
        repair = repair.replace(_pin(owner), owner.distribution)
    elif name == 'torchvision':
        what = f'{owner} does not work with torch {torch}'
        both = f'{_pin(owners["torch"][0])} {_pin(owner)}'
        repair = f'pip install --force-reinstall {both}'
    elif missing and missing.partition('.')[0] != package:
        repair = f'pip install {_pin(owner)}'  # with what it depends on
    elif missing:
        what = f'{owner} is installed but its files are gone'
    return Finding(package, 'error', f'{what}: {error}', repair)


def _other_files(name: str, result: Facts, owners: Owners) -> Finding | None:
    """Find files of another version than the distribution's."""
    # The version of cv2 has one number less than its distribution's.
    if name == 'cv2' or not owners.get(name):
        return None
    owner, loaded = owners[name][0], Version(result['version'])
    if loaded.public == Version(owner.version).public:
        return None
    repair, folder = _reinstall(owner), Path(result['file']).resolve()
    if folder.parents[1] != owner.folder:
        repair = _beyond_pythonpath(folder.parents[1], repair, hides=True)
    what = (
        f'{owner} is installed in {owner.folder}, but the files that Python '
        f'loads are of version {loaded}: {result["file"]}'
    )
    return Finding(name, 'error', what, repair)


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


def _pin(owner: Owner) -> str:
    """Name a distribution in its installed version, as pip takes it."""
    return f'{owner.distribution}=={Version(owner.version).public}'


def _reinstall(owner: Owner) -> str:
    """Give the command that writes a distribution's files again."""
    command = f'pip install --force-reinstall --no-deps {_pin(owner)}'
    return _beyond_pythonpath(owner.folder, command)


def _install_cbnet(owners: Owners) -> str:
    root = Path(cbnet.__file__).parents[1]
    if not owners['cbnet'] or (root / 'setup.py').is_file():
        return f"pip install --no-deps -e '{root}'"
    owner = owners['cbnet'][0]
    # pip records here from which wheel or repository it installed cbnet.
    record = metadata.distribution('cbnet').read_text('direct_url.json')
    if not record:
        return _reinstall(owner)
    source = json.loads(record)
    kind = f'{source["vcs_info"]["vcs"]}+' if 'vcs_info' in source else ''
    return _reinstall(owner).replace(_pin(owner), f'{kind}{source["url"]}')


def _beyond_pythonpath(folder: Path, command: str, hides: bool = False) -> str:
    """Take a folder out of PYTHONPATH, where pip cannot change anything.

    Args:
        folder: the folder from which Python imports the package.
        command: the repair for a package in any other folder.
        hides: whether the folder hides another copy, which needs no repair.
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


def _for_this_python(command: str) -> str:
    """Name this Python's pip where the shell would find another one."""
    pip = shutil.which('pip')
    if pip and Path(pip).parent == Path(sys.executable).parent:
        return command
    return re.sub(r'(^|&& )pip ', rf'\1{sys.executable} -m pip ', command)
