"""Nothing that is installed needs a newer Python than the package declares."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = ('cbnet', 'cbnet_command.py', 'configs', 'setup.py', 'tools')


def newer_than(declared, *paths):
    """What needs a newer Python, as `file:line: what`."""
    command = 'import sys, vermin; sys.exit(vermin.main())'
    vermin = [sys.executable, '-c', command, '--eval-annotations']
    lines = subprocess.run(
        [*vermin, '--format', 'parsable', *map(str, paths)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    # The columns are file, line, column, Python 2, Python 3, what.
    rows = [line.split(':', 5) for line in lines if line.count(':') >= 5]
    assert rows
    return [
        f'{file}:{line}: {what}'
        for file, line, _, _, version, what in rows
        if what  # rows without sum up a file, or all
        and re.fullmatch(r'~?3\.\d+', version)
        and int(version.split('.')[1]) > int(declared.split('.')[1])
    ]


def test_the_declared_python_is_enough():
    setup = (ROOT / 'setup.py').read_text()
    (declared,) = re.findall(r"python_requires='>=(.+)'", setup)
    assert not newer_than(declared, *SOURCES)


def test_what_is_newer_is_found(tmp_path):
    file = tmp_path / 'newer.py'
    file.write_text('from typing import Self\n')
    found = newer_than('3.10', file)
    assert found == [f"{file}:1: 'typing.Self' member"]
    assert not newer_than('3.11', file)
