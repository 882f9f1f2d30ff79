"""The examination as text: aligned columns, the findings last."""

import sysconfig
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .examine import OPTIONAL
from .operators import group_by_source

WIDTH = 79


def write_report(report: dict[str, Any]) -> str:
    """Turn what ``examine`` gives into lines."""
    sections = {
        'Packages': _packages(report),
        'Optional': _optional(report['optional']),
        'Operators of mmcv': _operators(report['operators']),
        'Devices': _devices(report['devices']),
        'Configs': _configs(report['configs']),
        'Findings': _findings(report),
    }
    lines = []
    for title, content in sections.items():
        lines += [title, *(f'  {line}' for line in content), '']
    return '\n'.join(lines)


def _table(rows: list[tuple[str, ...]]) -> Iterator[str]:
    """Align all columns but the last."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            f'{cell:{width}}'
            for cell, width in zip(row[:-1], widths, strict=False)
        ]
        yield '  '.join([*cells, row[-1]]).rstrip()


def _packages(report: dict[str, Any]) -> Iterator[str]:
    python = report['python']
    rows = [('python', python['version'], python['executable'])]
    for name, package in report['packages'].items():
        version = package['version'] or '-'
        rows.append((name, version, _remark(name, package)))
    return _table(rows)


def _remark(name: str, package: dict[str, Any]) -> str:
    if package['version'] is None:
        return 'not installed'
    parts = []
    if package['distributions'] not in ([], [name]):
        parts.append(' + '.join(package['distributions']))
    if Path(package['folder']) not in _site_folders():
        parts.append(f'in {package["folder"]}')
    if package['error']:
        parts.append('does not load')
    return ', '.join(parts)


def _site_folders() -> set[Path]:
    return {
        Path(sysconfig.get_path(name)).resolve()
        for name in ('purelib', 'platlib')
    }


def _optional(packages: dict[str, Any]) -> Iterator[str]:
    rows = []
    for name, package in packages.items():
        distribution, purpose = OPTIONAL[name]
        remark = purpose
        if package['version'] is None:
            remark += f': pip install {distribution}'
        elif package['error']:
            remark += ', does not load'
        rows.append((distribution, package['version'] or '-', remark))
    return _table(rows)


def _operators(sources: dict[str, str]) -> Iterator[str]:
    if not sources:
        yield 'unknown, mmcv does not load'
        return
    groups = group_by_source(sources)
    margin = max(map(len, groups)) + 2
    for source, names in groups.items():
        yield from textwrap.wrap(
            ', '.join(names),
            WIDTH - 2,
            initial_indent=f'{source:{margin}}',
            subsequent_indent=' ' * margin,
            break_on_hyphens=False,
        )


def _devices(devices: list[dict[str, Any]]) -> Iterator[str]:
    if not devices:
        yield 'unknown, torch does not load'
        return
    rows = []
    for device in devices:
        types = ', '.join(device['mixed_precision'])
        amp = f'--amp: {types}' if types else 'no --amp'
        rows.append((device['name'], device['description'], amp))
    yield from _table(rows)


def _configs(configs: dict[str, bool]) -> Iterator[str]:
    for prefix, resolves in configs.items():
        yield f'{prefix}  {"resolves" if resolves else "does not resolve"}'


def _findings(report: dict[str, Any]) -> Iterator[str]:
    if not report['findings']:
        yield 'none, all is well'
    for number, finding in enumerate(report['findings'], start=1):
        mark = f'{number}. {finding["level"]}: '
        yield from textwrap.wrap(
            finding['what'],
            WIDTH - 2,
            initial_indent=mark,
            subsequent_indent='   ',
            break_long_words=False,
            break_on_hyphens=False,
        )
        # In one line, however long: it is there to be copied.
        yield f'   mend it: {finding["mend"]}'
