"""The folders of the runs of an entry on a data set, and notes in them."""

import json
from collections.abc import Mapping
from pathlib import Path

from ..atomic_files import write_whole

_FAILED, _CHOSEN = 'failed.json', 'chosen.json'


def entry_folder(battle: Path, data: str, entry: str) -> Path:
    """Name the folder of all runs of an entry on a data set.

    Args:
        battle: the folder of the battle.
        data: the name of the data set.
        entry: the name of the entry's folder.
    """
    return battle / 'runs' / data / entry


def run_folder(folder: Path, lr: float, seed: int) -> Path:
    """Name the folder of one run."""
    return folder / f'lr-{lr:g}' / f'seed-{seed}'


def seed_folders(rate: Path) -> dict[int, Path]:
    """Find the folders of the runs with a learning rate, by their seeds.

    What else lies there, such as a copy of one, is no run.

    Args:
        rate: the folder of these runs.
    """
    found = {
        one.name.removeprefix('seed-'): one for one in rate.glob('seed-*')
    }
    numbers = sorted(int(text) for text in found if text.isdecimal())
    return {number: rate / f'seed-{number}' for number in numbers}


def note_failure(folder: Path, reason: str | None) -> None:
    """Note why a training or an evaluation failed; None takes it back.

    Args:
        folder: the folder of the run, or that of the evaluation in it.
        reason: the reason.
    """
    file = folder / _FAILED
    if reason is None:
        file.unlink(missing_ok=True)
    else:
        write_whole(file, json.dumps(dict(reason=reason)).encode())


def read_failure(folder: Path) -> str | None:
    """Say why it failed; None if it did not."""
    file = folder / _FAILED
    return json.loads(file.read_text())['reason'] if file.exists() else None


def note_choice(
    folder: Path, lr: float | None, found: Mapping[float, float]
) -> None:
    """Note which learning rate was chosen for an entry on a data set.

    Args:
        folder: the folder of the runs of the entry.
        lr: the rate, or None if no run ended well.
        found: the AP of each rate on the split for choices, if there was
            a choice.
    """
    content = dict(
        chosen=lr, AP={f'{rate:g}': ap for rate, ap in found.items()}
    )
    write_whole(folder / _CHOSEN, json.dumps(content, indent=1).encode())


def read_choice(folder: Path) -> float | None:
    """Tell which rate was chosen, or None if none was."""
    file = folder / _CHOSEN
    return json.loads(file.read_text())['chosen'] if file.exists() else None


def tried_rates(folder: Path) -> set[str]:
    """Name the learning rates that an entry has begun to try."""
    return {
        one.name.removeprefix('lr-')
        for one in folder.glob('lr-*')
        if seed_folders(one)
    }


def failures(folder: Path) -> dict[str, str]:
    """Say why runs of an entry failed, by the names of their folders."""
    found = {}
    for rate in sorted(folder.glob('lr-*')):
        for run in seed_folders(rate).values():
            for file in sorted(run.glob(f'**/{_FAILED}')):
                name = file.parent.relative_to(folder).as_posix()
                if reason := read_failure(file.parent):  # not taken back
                    found[name] = reason
    return found
