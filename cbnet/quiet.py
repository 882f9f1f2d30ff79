"""Silence for a while what libraries log and print."""

import io
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from mmengine.logging import MMLogger


@contextmanager
def quiet_log(level: str = 'WARNING') -> Iterator[None]:
    """Log only what is at least as serious as a level.

    Args:
        level: the name of the level.
    """
    logger = MMLogger.get_current_instance()
    before = logger.level
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.setLevel(before)


class _ByThread:
    """The standard output, which some threads have exchanged for their own.

    Args:
        usual: the standard output of all other threads.
    """

    def __init__(self, usual: TextIO) -> None:
        self.usual, self.own, self.users = usual, threading.local(), 0

    def __getattr__(self, name: str) -> Any:
        """Give what the output of this thread has, such as ``write``."""
        own = getattr(self.own, 'output', None)
        return getattr(self.usual if own is None else own, name)


_changing = threading.Lock()


@contextmanager
def quiet_output() -> Iterator[io.StringIO]:
    """Keep what this thread prints from the standard output.

    ``contextlib.redirect_stdout`` silences all threads: where two of them
    evaluate at a time, it can leave the process silent for good.

    Yields:
        What is printed instead.
    """
    with _changing:
        if not isinstance(sys.stdout, _ByThread):
            sys.stdout = _ByThread(sys.stdout)
        shared = sys.stdout
        shared.users += 1
    before = getattr(shared.own, 'output', None)
    shared.own.output = printed = io.StringIO()
    try:
        yield printed
    finally:
        shared.own.output = before
        with _changing:
            shared.users -= 1
            if not shared.users and sys.stdout is shared:
                sys.stdout = shared.usual
