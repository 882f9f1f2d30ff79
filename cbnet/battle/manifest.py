"""What makes a folder the folder of one battle."""

import json
import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..atomic_files import write_whole
from ..checkpoints.local_files import file_hash
from ..datasets.split_files import BATTLE
from ..datasets.walking import walk_dicts
from ..doctor.facts import list_devices
from ..errors import UserValueError
from ..messages import difference
from ..version import __version__
from .configs import Settings
from .data import BattleData
from .dry_runs import MEASURED, as_read
from .entries import Entry
from .revision import revision

_PACKAGES = 'torch', 'torchvision', 'timm', 'mmengine', 'mmdet', 'mmcv-lite'


def joined(
    folder: Path,
    identity: Mapping[str, Any],
    *,
    entries: Mapping[str, Any],
    data: Mapping[str, Any],
    lrs: Iterable[float] = (),
    reference: str | None = None,
) -> dict[str, Any]:
    """Give what the manifest would be with what a call adds.

    Args:
        folder: the folder.
        identity: what must not change while runs are added.
        entries: the entries by name.
        data: the data sets by name.
        lrs: the learning rates to choose from.
        reference: the entry that others are compared with; None: as before.

    Returns:
        The content of the manifest, for ``write_manifest``.

    Raises:
        ValueError: the folder holds another battle, or something else.
    """
    known = check_folder(folder, identity)
    content = dict(identity=identity, entries=entries, data=data)
    content = as_read(content)
    for key in ('entries', 'data'):
        before = known.get(key, {})
        for name in before.keys() & content[key].keys():
            _compare(
                folder,
                {f'{key} {name}': before[name]},
                {f'{key} {name}': content[key][name]},
            )
        content[key] = before | content[key]
    _check_run_folders(content['entries'])
    # All entries have to choose from the same rates.
    content['lrs'] = [*dict.fromkeys([*known.get('lrs', ()), *lrs])]
    content['reference'] = reference or known.get('reference')
    return known | content


def _check_run_folders(entries: Mapping[str, Any]) -> None:
    names: dict[str, str] = {}
    for name, entry in entries.items():
        folder = entry['folder'].lower()  # as some disks take it
        if folder in names:
            raise UserValueError(
                f'--entries: the runs of {name!r} would lie in the folder of '
                f'{names[folder]!r}, which an earlier call has added; give it '
                f'another name with the option name=...'
            )
        names[folder] = name


def write_manifest(folder: Path, content: Mapping[str, Any]) -> None:
    """Write what ``joined`` gives, with the environment of the first call."""
    if 'environment' not in content:
        content = {**content, 'environment': environment()}
    write_whole(folder / BATTLE, json.dumps(content, indent=2).encode())


def check_folder(folder: Path, identity: Mapping[str, Any]) -> dict[str, Any]:
    """Refuse a folder of another battle, or of something else.

    Args:
        folder: the folder.
        identity: what must not change while runs are added.

    Returns:
        What ``write_manifest`` has written there; empty for a new folder.

    Raises:
        ValueError: says what the folder holds.
    """
    file = folder / BATTLE
    # In this order: another process may be about to claim the folder.
    others = folder.is_dir() and any(map(_foreign, folder.iterdir()))
    if file.exists():
        known = json.loads(file.read_text())
        _compare(folder, known['identity'], as_read(identity))
        return known
    if others:
        raise UserValueError(
            f'--out {folder} is not empty and holds no battle; name a new '
            f'folder'
        )
    return {}


def _foreign(file: Path) -> bool:
    """Tell whether neither a dry run nor a lock leaves such a file."""
    return file.name != MEASURED and not file.name.startswith('.')


def _compare(
    folder: Path, known: Mapping[str, Any], now: Mapping[str, Any]
) -> None:
    if found := difference(known, now):
        raise UserValueError(
            f'--out {folder} holds another battle: its {found}; name '
            f'another --out, or repeat the options of that battle'
        )


def identity_of(settings: Settings, budget: str) -> dict[str, Any]:
    """Give what must not change while runs are added."""
    kept = asdict(settings)
    kept.pop('workers')
    return kept | dict(budget=budget)


def described(
    entries: Iterable[Entry],
    configs: Mapping[str, Config],
    datas: Iterable[BattleData],
) -> dict[str, dict[str, Any]]:
    """Describe what may be added to a battle, by name.

    Args:
        entries: the entries.
        configs: the config of each of them by name.
        datas: the data sets.
    """
    return dict(
        entries={
            one.name: dict(
                members=[asdict(member) for member in one.members],
                options=asdict(one.options),
                changes=dict(one.changes),
                folder=one.folder,
                weights=_weights(configs[one.name]),
            )
            for one in entries
        },
        data={
            one.name: dict(
                fingerprint=one.fingerprint,
                note=one.note,
                images={role: one.images(role) for role in one.splits},
                classes=one.splits['train'].classes,
            )
            for one in datas
        },
    )


def _weights(cfg: Config) -> dict[str, str] | None:
    """Give a fingerprint of each file of weights that a config names."""
    names = {part.get('checkpoint') for part in walk_dicts(cfg.model)}
    return {
        name: file_hash(name)[:16]
        for name in sorted(one for one in names if isinstance(one, str))
        if os.path.isfile(name)  # and no address
    } or None


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read what ``write_manifest`` has written.

    Raises:
        ValueError: the folder holds no battle.
    """
    file = folder / BATTLE
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
    commit = revision()
    return dict(
        cbnet=__version__,
        **(dict(revision=commit) if commit else {}),
        python=platform.python_version(),
        system=platform.platform(),
        packages=packages,
        devices=devices,
    )
