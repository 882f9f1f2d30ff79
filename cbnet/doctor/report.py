"""The examination as text: tables first, the findings last."""

import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from .examine import OPTIONAL
from .operators import group_by_source

Rows = Iterator[tuple[str, ...]]


def print_report(report: dict[str, Any]) -> None:
    """Print what ``examine`` returned."""
    console = Console(highlight=False, markup=False, emoji=False)
    sections = {
        'Packages': _packages(report),
        'Operators of mmcv': group_by_source(report['operators']).items(),
        'Devices': _devices(report['devices']),
        'Configs': report['configs'].items(),
    }
    for title, rows in sections.items():
        table = Table.grid(padding=(0, 2, 0, 0))
        for row in rows:
            table.add_row(*map(_cell, row))
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


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return 'resolves' if value else 'does not resolve'
    return value if isinstance(value, str) else ', '.join(value)


def _packages(report: dict[str, Any]) -> Rows:
    python = report['python']
    yield 'python', python['version'], python['executable']
    folders = map(sysconfig.get_path, ('purelib', 'platlib'))
    site = [str(Path(folder).resolve()) for folder in folders]
    for name, package in report['packages'].items():
        distribution, use = OPTIONAL.get(name, (name, ''))
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


def _devices(devices: list[dict[str, Any]]) -> Rows:
    for device in devices:
        types = ', '.join(device['mixed_precision'])
        amp = f'--amp: {types}' if types else 'no --amp'
        yield device['name'], device['description'], amp
