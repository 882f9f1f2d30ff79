"""Load every file of the corpus on every path and print what happened.

``python -m tests.test_security.table [FILE ...]`` prints one line for each
file and the sums: ``clear`` (one sentence that names the file),
``accepted``, ``traceback``, ``hang`` and ``executed``.
"""

import collections
import contextlib
import io
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cbnet.errors import UserError

from . import (  # noqa: F401
    archives,
    contents,
    damaged_pickles,
    pickles,
    places_on_disk,
    safetensors_files,
    tensors,
)
from .corpus import CORPUS, Entry, marker, write
from .loading_paths import PATHS, make_contents, numbers, quiet

SECONDS = 5
#: the memory that loading a file of a few kilobytes may take
MEMORY = 600 << 20


class Hang(BaseException):
    """A file took too long."""


@contextlib.contextmanager
def bounded(seconds: float = SECONDS, memory: int = MEMORY) -> Iterator[None]:
    """Bound the time and the further memory of a block.

    Raises:
        Hang: the block takes longer.
    """

    def stop(*_: Any) -> None:
        raise Hang

    pages = int(Path('/proc/self/statm').read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    handler = signal.signal(signal.SIGALRM, stop)
    size = pages * resource.getpagesize() + memory
    resource.setrlimit(resource.RLIMIT_AS, (size, before[1]))
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, before)
        signal.signal(signal.SIGALRM, handler)


def outcome(
    entry: Entry, name: str, folder: Path, given: dict[str, Any]
) -> tuple[str, str]:
    """Load one file on one path.

    Args:
        entry: the file.
        name: the name of the path.
        folder: the folder of ``make_contents``.
        given: the contents that it made.

    Returns:
        What happened, in one word, and the text of the error.
    """
    path = PATHS[name]
    made = folder / f'files{next(numbers)}'
    file = write(entry, made, given[path.content])
    mark = marker(file)
    tempfile.tempdir = str(made / 'temporary')
    os.mkdir(tempfile.tempdir)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            bounded(),
        ):
            warnings.simplefilter('ignore')
            path.use(file, made)
        found, text = 'accepted', ''
    except Hang:
        found, text = 'hang', ''
    except UserError as error:
        text = str(error)
        named = file.name[:60] in text or str(file)[:60] in text
        found = 'clear' if named and '\n' not in text else 'unclear'
        if len(text) > 1500 or 'weights_only' in text or 'memory' in text:
            found = 'unclear'
    except Exception as error:
        found, text = 'traceback', f'{type(error).__name__}: {error}'
    if mark.exists() or any(folder.glob('*executed*')):
        found = 'executed'
    if os.listdir(tempfile.tempdir):
        found = 'left behind'
    tempfile.tempdir = None
    shutil.rmtree(made)
    return found, text


def apart(*given: Any) -> tuple[str, str]:
    """Give the outcome in a process of its own, which may hang or die."""
    ours, theirs = os.pipe()
    next(numbers)
    child = os.fork()
    if not child:
        os.close(ours)
        # A loop in C does not notice the alarm: processor time ends it.
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        with contextlib.suppress(BaseException):
            said = json.dumps(outcome(*given))
            os.write(theirs, said.encode())
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return tuple(json.loads(said)) if said else ('hang', 'it was ended')


def print_table(only: list[str]) -> None:
    """Print the table, for some files or for all."""
    quiet()
    sums = collections.Counter()
    with tempfile.TemporaryDirectory(dir='.') as name:
        folder = Path(name).resolve()
        given = make_contents(folder)
        for entry in CORPUS.values():
            if only and entry.name not in only:
                continue
            found = {}
            for path in PATHS:
                word, text = apart(entry, path, folder, given)
                if word == 'accepted' and not entry.reason(path):
                    word = 'UNJUSTIFIED'
                if word == 'clear' and entry.reason(path):
                    word = 'refused'
                sums[word] += 1
                found.setdefault(
                    (word, text[:300] if only else ''), []
                ).append(path)
            lines = [
                f'    {word}: {", ".join(paths)} {text}\n'
                for (word, text), paths in found.items()
            ]
            sys.stdout.write(f'{entry.kind} {entry.name}\n{"".join(lines)}')
            sys.stdout.flush()
    total = f'of {sum(sums.values())}, {len(CORPUS)} files'
    sys.stdout.write(f'{dict(sums)} {total}\n')


if __name__ == '__main__':
    print_table(sys.argv[1:])
