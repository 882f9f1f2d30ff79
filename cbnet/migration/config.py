"""Turn published CBNetV2 configs (mmdet 2.x) into configs of mmdet 3.x.

The modules beside this one convert one section of a config each. A key that
none of them understands is reported in a line of its own.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..config_files import check_new, read_config
from ..errors import UserValueError
from ..models.building import build_without_weights
from .data import convert_data
from .model import convert_model
from .runtime import convert_runtime
from .schedule import convert_schedule
from .section import Section, State

HEADER = """\
# Migrated from {name} (mmdet 2.x) by `cbnet migrate-config`.
_base_ = 'mmdet::_base_/default_runtime.py'
"""


def migrate_config(
    path: str | Path, out: str | Path
) -> tuple[list[str], str | None]:
    """Convert a published config and write the new one.

    Args:
        path: the published config; the files that it inherits from must be
            where its ``_base_`` says.
        out: the file to write; missing folders are made.

    Returns:
        The report, with a line for each setting that was left out or that
        means something else now; and the reason why the new model does not
        build, or None.

    Raises:
        ValueError: the config cannot be read, its model is not a published
            composite, or ``out`` exists.
    """
    path, out = Path(path), Path(out)
    check_new(out)
    if not path.is_file():
        raise UserValueError(f'no config file {path}')
    # Its custom imports are written for mmdet 2.x.
    published = read_config(path, str(path), import_custom_modules=False)
    new, report = convert(published.to_dict())
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(HEADER.format(name=path.name) + new.pretty_text)
    try:
        build_without_weights(read_config(out, str(out)))
    except ValueError as error:
        return report, str(error)
    return report, None


def convert(published: Mapping[str, Any]) -> tuple[Config, list[str]]:
    """Convert a published config that is merged with its bases.

    Return the new config, to be read on top of mmdet's default runtime, and
    the report.
    """
    top = Section(published, '', State())
    imports = top.section('custom_imports').take_all().get('imports', [])
    imports = [imports] if isinstance(imports, str) else list(imports)
    if imports:
        top.report(
            f'custom_imports={imports}: kept; they must import under mmdet 3.x'
        )
    imports = dict(imports=['cbnet', *imports], allow_failed_imports=False)
    new = Config(dict(custom_imports=imports, **convert_schedule(top)))
    new.merge_from_dict(convert_runtime(top))
    new.merge_from_dict(convert_data(top))
    new.merge_from_dict(dict(model=convert_model(top)))
    _close(top, published)
    return new, top.state.report


def _close(top: Section, published: Mapping[str, Any]) -> None:
    """Report the names that are not settings, unless a setting uses them."""
    rest = set(top.values)
    used = [value for key, value in published.items() if key not in rest]
    for key in rest:
        # Numbers are not compared: one may occur anywhere by chance.
        nested = isinstance(top.values[key], str | list | tuple | Mapping)
        if nested and _inside(top.values[key], used):
            top.drop(key)
    top.close('left out, mmdet 3.x reads no such key')


def _inside(value: Any, container: Any) -> bool:
    """Return whether a value occurs in a nested container."""
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
