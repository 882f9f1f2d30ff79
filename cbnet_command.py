"""Run a command of cbnet, which reads its arguments before it starts.

``import cbnet`` imports torch and mmdet, which takes seconds; this module
lies beside the package so that a help is there at once.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


def main(argv: Sequence[str] | None = None) -> int | None:
    """Run ``cbnet.commands.main.main``; see there."""
    with _not_started():
        from cbnet.commands.main import main as run
    return run(argv)


def prepare() -> None:
    """Settle threads and start cbnet, for a script that has read its own."""
    with _not_started():
        import cbnet
        from cbnet.threads import settle_threads
    if settled := settle_threads():
        sys.stderr.write(f'{settled}\n')
    cbnet.start()


@contextmanager
def _not_started() -> Iterator[None]:
    """Let importing the package start nothing, in this process alone."""
    before = os.environ.get('CBNET_START')
    os.environ['CBNET_START'] = 'no'
    try:
        yield
    finally:
        if before is None:
            del os.environ['CBNET_START']
        else:
            os.environ['CBNET_START'] = before
