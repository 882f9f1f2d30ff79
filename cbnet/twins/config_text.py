"""The parts of the text of a config that inherits from another one."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def name_from(out: Path, file: str) -> str:
    """Return the name of a file relative to the folder of ``out``.

    Names with ``::`` and addresses stay as they are.
    """
    if '::' in file or '://' in file:
        return file
    path = os.path.relpath(file, out.parent)
    if not Path(out.parent, path).exists():  # `..` of a link to a folder
        path = os.path.abspath(file)
    return Path(path).as_posix()


def imports_line(imports: list[str] | str | None) -> str:
    """Return a line that adds cbnet to the base's imports, if it must."""
    imported = [imports] if isinstance(imports, str) else imports or []
    if 'cbnet' in imported:
        return ''
    names = "'cbnet'], allow_failed_imports=False"
    if imported:
        star = '' if isinstance(imports, str) else '*'
        names = f"'cbnet', {star}_base_.custom_imports.imports]"
    return f'custom_imports = dict(imports=[{names})\n'


class Code(str):
    """Code of a config, which is written as it is."""

    def __repr__(self) -> str:
        return str(self)


def as_code(value: Any) -> str:
    """Write a value as configs do: ``dict(type='ResNet', depth=18)``."""
    if isinstance(value, dict) and all(str(k).isidentifier() for k in value):
        return f'dict({", ".join(map(_item, value, value.values()))})'
    if isinstance(value, list):
        return f'[{", ".join(map(as_code, value))}]'
    return repr(value)


def as_lines(items: Mapping[str, Any], indent: str, width: int = 79) -> str:
    """Write the items of a dict, as many to a line as there is room for."""
    lines = ['']
    for key, value in items.items():
        item = f'{_item(key, value)},'
        if lines[-1] and len(f'{lines[-1]} {item}') <= width:
            lines[-1] += f' {item}'
        elif len(indent + item) > width and isinstance(value, dict):
            inside = as_lines(value, f'{indent}    ', width - 1)  # a bracket
            lines += [f'{indent}{key}=dict(\n{inside[:-2]}),', '']
        else:
            lines.append(indent + item)
    return ''.join(f'{line}\n' for line in lines if line)


def _item(key: str, value: Any) -> str:
    return f'{key}={as_code(value)}'
