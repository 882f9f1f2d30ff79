"""Findings from loading the stack: what is installed and still fails."""

import json
from collections.abc import Iterator, Set
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.version import Version

import cbnet

from ..compat.versions import repair_owners
from ..messages import one_line
from .finding import Finding, beyond_pythonpath, pin, reinstall
from .installed import Owners
from .probes import PIECES, Results

# How compiled modules complain about a numpy that they were not built for.
NUMPY_COMPLAINTS = (
    'numpy.dtype size changed',
    '_ARRAY_API',
    'compiled using NumPy',
    'multiarray failed to import',
)


def loading_findings(
    results: Results, owners: Owners, blamed: Set[str]
) -> Iterator[Finding]:
    """Judge what the probes found.

    A piece that fails because of another one gets no finding of its own.

    Args:
        results: the result of each piece, from ``run_probes``.
        owners: the owners of each import name.
        blamed: the pieces that have a finding already.
    """
    blamed = set(blamed)
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
            yield finding
    yield from _device_findings(results['devices'])


def _failure(name: str, results: Results, owners: Owners) -> Finding | None:
    text, missing = results[name]['error'], results[name]['missing']
    error, torch = one_line(text, 200), results['torch'].get('version')
    if name == 'cbnet':
        what = f'cbnet does not start: {error}'
        return Finding(name, 'error', what, _install_cbnet(owners))
    if name == 'cbnet::':
        # A clone works without this prefix, through configs' paths.
        level = 'error' if owners['cbnet'] else 'warning'
        cause = error if owners['cbnet'] else 'cbnet is not installed'
        what = f'configs cbnet:: do not resolve: {cause}'
        return Finding(name, level, what, _install_cbnet(owners))
    if name == 'mmcv.ops':
        what = (
            'the compiled module of mmcv does not load; it was built for '
            f'another torch or CUDA than torch {torch}: {error}'
        )
        repair = repair_owners('mmcv', owners['mmcv'])
        return Finding(name, 'error', what, repair)
    package = 'torch' if name == 'devices' else name.removesuffix('::')
    if not owners.get(package):
        return None  # not installed; what needs it will say so
    owner = owners[package][0]
    what, repair = f'{owner} does not load: {error}', reinstall(owner)
    if name == 'mmdet::':
        what = f'configs mmdet:: do not resolve: {error}'
    elif any(complaint in text for complaint in NUMPY_COMPLAINTS):
        numpy = results['numpy'].get('version')
        what = f'{owner} is built for another numpy than {numpy}: {error}'
        repair = repair.replace('install', 'install --upgrade', 1)
        repair = repair.replace(pin(owner), owner.distribution)
    elif name == 'torchvision':
        what = f'{owner} does not work with torch {torch}: {error}'
        both = f'{pin(owners["torch"][0])} {pin(owner)}'
        repair = f'pip install --force-reinstall {both}'
    elif missing and missing.partition('.')[0] != package:
        repair = f'pip install {pin(owner)}'  # with what it depends on
    elif missing:
        what = f'{owner} is installed but its files are gone: {error}'
    return Finding(package, 'error', what, repair)


def _install_cbnet(owners: Owners) -> str:
    root = Path(cbnet.__file__).parents[1]
    if not owners['cbnet'] or (root / 'setup.py').is_file():
        return f"pip install --no-deps -e '{root}'"
    command = reinstall(owners['cbnet'][0])
    # pip records here from which wheel or repository it installed cbnet.
    record = metadata.distribution('cbnet').read_text('direct_url.json')
    if not record:
        return command
    source = json.loads(record)
    kind = f'{source["vcs_info"]["vcs"]}+' if 'vcs_info' in source else ''
    return command.replace(pin(owners['cbnet'][0]), f'{kind}{source["url"]}')


def _other_files(
    name: str, result: dict[str, Any], owners: Owners
) -> Finding | None:
    """Find files of another version than the distribution's."""
    # The version of cv2 has one number less than its distribution's.
    if name == 'cv2' or not owners.get(name):
        return None
    owner, loaded = owners[name][0], Version(result['version'])
    if loaded.public == Version(owner.version).public:
        return None
    folder, repair = (
        Path(result['file']).resolve().parents[1],
        reinstall(owner),
    )
    if folder != owner.folder:
        repair = beyond_pythonpath(folder, repair, hides=True)
    what = (
        f'{owner} is installed in {owner.folder}, but the files that Python '
        f'loads are of version {loaded}: {result["file"]}'
    )
    return Finding(name, 'error', what, repair)


def _device_findings(result: dict[str, Any]) -> Iterator[Finding]:
    repair = 'pip install --upgrade torch torchvision'
    for device in result.get('devices', []):
        if device['error']:
            what = f'{device["name"]} ({device["description"]}) does not '
            what += f'compute: {device["error"]}'
            yield Finding(device['name'], 'error', what, repair)
    if driver := result.get('unused_driver'):
        what = f'there is an NVIDIA driver, but torch cannot use it: {driver}'
        repair = 'pip install --force-reinstall torch torchvision'
        if result['cuda']:
            what += f'; update the driver to one for CUDA {result["cuda"]}'
            # No command updates it on every system; this one names it.
            repair = 'nvidia-smi'
        yield Finding('cuda', 'warning', what, repair)
