"""Findings from loading the stack: what fails although it is installed."""

from collections.abc import Iterator, Set
from pathlib import Path
from typing import Any

from packaging.version import Version

import cbnet
from cbnet.compat.owners import Owner
from cbnet.compat.versions import mend_owners

from .finding import Finding, beyond_pythonpath, reinstall
from .probes import PROBES

Owners = dict[str, list[Owner]]
Results = dict[str, dict[str, Any]]

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

    What fails because something that it needs fails is not told.

    Args:
        results: probe -> what it found, from ``run_probes``.
        owners: import name -> owners.
        blamed: pieces about which there is a finding already.
    """
    blamed = set(blamed)
    for name, result in results.items():
        if blamed & {name, *PROBES[name].needs}:
            if 'error' in result:
                blamed.add(name)
            continue
        finding = None
        if 'error' in result:
            finding = _failure(name, result, results, owners)
        elif result.get('version') and owners.get(name):
            finding = _other_files(name, result, owners[name][0])
        if finding:
            blamed |= {name, finding.name}
            yield finding
    yield from _device_findings(results['devices'])


def _failure(
    name: str, result: dict[str, Any], results: Results, owners: Owners
) -> Finding | None:
    error = first_line(result['error'])
    torch = results['torch'].get('version')
    if name == 'cbnet::':
        return _cbnet_prefix(error, owners)
    if name == 'cbnet':
        what = f'cbnet does not start: {error}'
        return Finding(name, 'error', what, install_cbnet(owners))
    if name == 'mmcv.ops':
        return Finding(
            name,
            'error',
            'the compiled module of mmcv does not load; it was built for '
            f'another torch or CUDA than torch {torch}: {error}',
            mend_owners('mmcv', owners['mmcv']),
        )
    package = 'torch' if name == 'devices' else name.removesuffix('::')
    if not owners.get(package):
        return None  # not installed; what needs it will say so
    owner = owners[package][0]
    pin = f'{owner.distribution}=={Version(owner.version).public}'
    what, mend = f'{owner} does not load: {error}', reinstall(owner)
    missing = (result.get('missing') or name).partition('.')[0]
    if name == 'mmdet::':
        what = f'configs mmdet:: do not resolve: {error}'
    elif any(text in result['error'] for text in NUMPY_COMPLAINTS):
        numpy = results['numpy'].get('version')
        what = f'{owner} is built for another numpy than {numpy}: {error}'
        mend = (
            'pip install --upgrade --force-reinstall --no-deps '
            f'{owner.distribution}'
        )
    elif name == 'torchvision':
        what = f'{owner} does not work with torch {torch}: {error}'
        torch = Version(owners['torch'][0].version).public
        mend = f'pip install --force-reinstall torch=={torch} {pin}'
    elif missing != package:
        mend = f'pip install {pin}'  # and with it what it depends on
    elif 'missing' in result:
        what = f'{owner} is installed but its files are gone: {error}'
    return Finding(package, 'error', what, mend)


def _cbnet_prefix(error: str, owners: Owners) -> Finding:
    # A clone works without being installed, through configs' paths.
    level = 'error' if owners['cbnet'] else 'warning'
    what = f'configs cbnet:: do not resolve: {error}'
    if level == 'warning':
        what = 'configs cbnet:: do not resolve: cbnet is not installed'
    return Finding('cbnet::', level, what, install_cbnet(owners))


def install_cbnet(owners: Owners) -> str:
    """Give the command that installs cbnet, from its clone if it is one."""
    root = Path(cbnet.__file__).parents[1]
    if (root / 'setup.py').is_file():
        return f"pip install --no-deps -e '{root}'"
    if owners['cbnet']:
        return reinstall(owners['cbnet'][0])
    return "pip install 'cbnet[openmmlab]'"


def _other_files(
    name: str, result: dict[str, Any], owner: Owner
) -> Finding | None:
    """Find files of another version than the distribution's.

    Only of packages whose version is their distribution's: those of cv2
    have one number less.
    """
    loaded, installed = Version(result['version']), Version(owner.version)
    if name == 'cv2' or loaded.public == installed.public:
        return None
    folder = Path(result['file']).resolve().parents[1]
    mend = reinstall(owner)
    if folder != owner.folder:
        mend = beyond_pythonpath(folder, mend, hides=True)
    return Finding(
        name,
        'error',
        f'{owner} is installed in {owner.folder}, but the files that are '
        f'loaded are of version {loaded}: {result["file"]}',
        mend,
    )


def _device_findings(result: dict[str, Any]) -> Iterator[Finding]:
    newest = 'pip install --upgrade torch torchvision'
    for device in result.get('devices', []):
        if device['error']:
            what = f'{device["name"]} ({device["description"]}) does not '
            what += f'compute: {device["error"]}'
            yield Finding(device['name'], 'error', what, newest)
    driver = result.get('unused_driver')
    if driver:
        what = f'there is an NVIDIA driver, but torch cannot use it: {driver}'
        mend = newest.replace('--upgrade', '--force-reinstall')
        if result['cuda']:
            what += '; update the driver to one for CUDA ' + result['cuda']
            mend = 'nvidia-smi'  # no command for all systems; it says which
        yield Finding('cuda', 'warning', what, mend)


def first_line(text: str) -> str:
    """Shorten an error to what fits a line or two."""
    line = text.strip().partition('\n')[0]
    return line if len(line) <= 200 else line[:197] + '...'
