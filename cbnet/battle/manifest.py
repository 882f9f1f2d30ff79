"""What makes a folder the folder of one battle."""

import json
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mmengine.utils import get_git_hash

from ..atomic_files import write_whole
from ..doctor.facts import list_devices
from ..errors import UserValueError
from ..messages import brief
from ..version import __version__

_MANIFEST = 'battle.json'
_PACKAGES = 'torch', 'torchvision', 'timm', 'mmengine', 'mmdet', 'mmcv-lite'


def claim(folder: Path, identity: Mapping[str, Any], **grows: Any) -> None:
    """Make a folder the folder of a battle, or add to the battle in it.

    Args:
        folder: the folder.
        identity: what must not change while runs are added.
        **grows: dicts of what may be added, such as entries, by name.

    Raises:
        ValueError: the folder holds another battle, or something else.
    """
    known = check_folder(folder, identity)
    content = json.loads(json.dumps(dict(identity=identity, **grows)))
    if known:
        for key in grows:
            for name in known[key].keys() & content[key].keys():
                _compare(
                    folder,
                    {f'{key} {name}': known[key][name]},
                    {f'{key} {name}': content[key][name]},
                )
            content[key] = known[key] | content[key]
        content = known | content
    else:
        content['environment'] = environment()
    write_whole(folder / _MANIFEST, json.dumps(content, indent=2).encode())


def check_folder(folder: Path, identity: Mapping[str, Any]) -> dict[str, Any]:
    """Refuse a folder of another battle, or of something else.

    Args:
        folder: the folder.
        identity: what must not change while runs are added.

    Returns:
        What ``claim`` has written there; empty for a new folder.

    Raises:
        ValueError: says what the folder holds.
    """
    file = folder / _MANIFEST
    if file.exists():
        known = json.loads(file.read_text())
        now = json.loads(json.dumps(identity))
        _compare(folder, known['identity'], now)
        return known
    if folder.is_dir() and any(folder.iterdir()):
        raise UserValueError(
            f'--out {folder} is not empty and holds no battle; name a new '
            f'folder'
        )
    return {}


def _compare(
    folder: Path, known: Mapping[str, Any], now: Mapping[str, Any]
) -> None:
    for key, value in known.items():
        if value != now.get(key):
            raise UserValueError(
                f'--out {folder} holds another battle: its {key} is '
                f'{brief(value)}, not {brief(now.get(key))}; name another '
                f'--out, or repeat the options of that battle'
            )


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read what ``claim`` has written, and ``environment``.

    Raises:
        ValueError: the folder holds no battle.
    """
    file = folder / _MANIFEST
    if not file.exists():
        raise UserValueError(f'{folder} holds no battle: there is no {file}')
    return json.loads(file.read_text())


def environment() -> dict[str, Any]:
    """Describe what a battle runs on."""
    packages = {}
    for name in _PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:  # one of the forks
            continue
    devices = [
        f'{one["name"]}: {one["description"]}'
        for one in list_devices()['devices']
    ]
    return dict(
        cbnet=__version__,
        revision=get_git_hash(digits=12),
        python=platform.python_version(),
        system=platform.platform(),
        packages=packages,
        devices=devices,
    )
