"""Published CBNetV2 configs (mmdet 2.x) turned into configs of mmdet 3.x.

Section by section; what no section understands is reported, line by line.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..config_files import read_config
from ..errors import UserValueError
from ..models.building import build_without_weights
from .data import convert_data
from .model import convert_model
from .runtime import convert_runtime
from .schedule import Schedule
from .section import Section

HEADER = """\
# Migrated from {name} (mmdet 2.x) by `cbnet migrate-config`.
_base_ = 'mmdet::_base_/default_runtime.py'
"""


def migrate_config(
    path: str | Path, out: str | Path
) -> tuple[list[str], str | None]:
    """Write the 3.x config of a published config.

    Args:
        path: the old config; the files it inherits from lie where its
            ``_base_`` says.
        out: the file to write; its folder is made.

    Returns:
        Lines for the user, everything that was left out or means something
        else now; and why the new model does not build, if it does not.

    Raises:
        ValueError: for a config that cannot be read, whose model is no
            published composite, or an ``out`` that exists.
    """
    path, out = Path(path), Path(out)
    if out.suffix != '.py':
        raise UserValueError(f'{out} must end in .py')
    if out.exists():
        raise UserValueError(f'{out} exists; name another file or delete it')
    if not path.is_file():
        raise UserValueError(f'no config file {path}')
    # Its custom imports are written for mmdet 2.x.
    old = read_config(path, str(path), import_custom_modules=False)
    new, report = convert(old.to_dict())
    text = Config(new).pretty_text
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(HEADER.format(name=path.name) + text)
    try:
        build_without_weights(read_config(out, str(out)))
    except ValueError as error:
        return report, str(error)
    return report, None


def convert(old: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Convert an old config.

    Args:
        old: the config, merged with its bases.

    Returns:
        The new config on top of mmdet's ``default_runtime.py``, and lines
        for the user.

    Raises:
        ValueError: for a model that is no published composite.
    """
    report: list[str] = []
    top = Section(old, '', report)
    imports = top.section('custom_imports').values.get('imports', [])
    imports = [imports] if isinstance(imports, str) else list(imports)
    if imports:
        report.append(
            f'custom_imports={imports}: kept; they must import under mmdet 3.x'
        )
    evaluation = top.section('evaluation')
    schedule = Schedule(top)
    loops = schedule.convert(evaluation)
    runtime = convert_runtime(top, evaluation, schedule.by_epoch)
    data, moved = convert_data(top, evaluation, schedule.by_epoch)
    evaluation.close()
    model = convert_model(top, moved)
    _close(top, old)
    new = dict(
        custom_imports=dict(
            imports=['cbnet', *imports], allow_failed_imports=False
        ),
        model=model,
        **data,
        **loops,
        **runtime,
    )
    return new, report


def _close(top: Section, old: Mapping[str, Any]) -> None:
    """Report the names that are no settings, unless used by one."""
    rest = set(top.values)
    used = [value for key, value in old.items() if key not in rest]
    for key in rest:
        # A number may be anywhere by chance.
        nested = isinstance(top.values[key], str | list | tuple | Mapping)
        if nested and _inside(top.values[key], used):
            top.take(key)
    top.close('left out, mmdet 3.x reads no such name')


def _inside(value: Any, container: Any) -> bool:
    """Tell whether a value occurs in a nested container."""
    if value == container:
        return True
    if isinstance(value, str) and isinstance(container, str):
        return bool(value) and container.startswith(value)
    if isinstance(container, Mapping):
        if value and isinstance(value, Mapping):
            if value.items() <= dict(container).items():
                return True  # **value
        container = container.values()
    elif not isinstance(container, list | tuple):
        return False
    return any(_inside(value, part) for part in container)
