"""Which commit of cbnet's repository a battle runs on."""

import os
import subprocess
from pathlib import Path

_PACKAGE = Path(__file__).parents[1]
# With one of these, as in a hook of git, git would take another repository
# than that of the folder.
_ELSEWHERE = 'GIT_DIR', 'GIT_WORK_TREE', 'GIT_INDEX_FILE'


def revision(package: Path = _PACKAGE) -> str | None:
    """Give the commit of a package, or None if git does not track it.

    An installed package may lie inside the repository of another project,
    which tells nothing about it.
    """
    try:
        _git(package, 'ls-files', '--error-unmatch', '__init__.py')
        return _git(package, 'rev-parse', '--short=12', 'HEAD')
    except (OSError, subprocess.SubprocessError):  # there may be no git
        return None


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ['git', '-C', folder, *words],
        env={k: v for k, v in os.environ.items() if k not in _ELSEWHERE},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.strip()
