"""What dry runs have measured: they keep it, but claim no folder."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..atomic_files import write_whole

MEASURED = 'dry_run.json'


def read_measured(folder: Path, of: Mapping[str, Any]) -> dict[str, Any]:
    """Read what dry runs have measured, as far as it still fits.

    Args:
        folder: the folder of the battle.
        of: all that a measurement depends on, by the name of its result.

    Returns:
        The results whose measurements depended on the same, by name.
    """
    known = _read(folder)
    return {
        name: known[name]['found']
        for name, wanted in of.items()
        if name in known and known[name]['of'] == as_read(wanted)
    }


def keep_measured(
    folder: Path, of: Mapping[str, Any], found: Mapping[str, Any]
) -> None:
    """Keep results for the battle, or for the next dry run.

    Args:
        folder: the folder of the battle.
        of: all that a measurement depends on, by the name of its result.
        found: the results by name.
    """
    now = {name: dict(of=of[name], found=one) for name, one in found.items()}
    content = json.dumps(_read(folder) | now, indent=1)
    write_whole(folder / MEASURED, content.encode())


def _read(folder: Path) -> dict[str, Any]:
    file = folder / MEASURED
    return json.loads(file.read_text()) if file.exists() else {}


def as_read(value: Any) -> Any:
    """Give a value as it would be read from the file."""
    return json.loads(json.dumps(value))
