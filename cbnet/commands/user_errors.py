"""End a tool with one line where the error is written for its user.

For a :class:`~cbnet.errors.UserError` a traceback hides what matters; it
goes to the log file.
"""

import errno
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch.distributed as dist
from mmengine.logging import MMLogger

from ..errors import UserError
from ..messages import one_line

#: environment variable that asks for the traceback instead
SHOW = 'CBNET_TRACEBACK'
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn errors written for the user into one line and exit status 2."""
    try:
        yield
    except Exception as error:
        message = user_message(error)
        if message is None or os.environ.get(SHOW):
            raise
        _say(message, _keep_traceback(error))
        if dist.is_available() and dist.is_initialized():
            # Threads of the process group wait for processes that this one
            # leaves alone, and would abort the interpreter at its end.
            os._exit(2)
        raise SystemExit(2) from None


def user_message(error: Exception) -> str | None:
    """Give the line for the user, or None if the error is not for users."""
    if isinstance(error, OSError) and error.errno in _NO_SPACE:
        return f'{error}; make room on the disk, then go on with --resume'
    return one_line(error) if isinstance(error, UserError) else None


def _keep_traceback(error: Exception) -> str | None:
    """Write the traceback into the run's log file; give its path."""
    kept = None
    for handler in MMLogger.get_current_instance().handlers:
        if isinstance(handler, logging.FileHandler):
            record = logging.LogRecord(
                'cbnet', logging.ERROR, __file__, 0, 'stopped', None,
                (type(error), error, error.__traceback__),
            )  # fmt: skip
            try:
                handler.stream.write(handler.format(record) + '\n')
                handler.flush()
                kept = handler.baseFilename
            except OSError:  # such as the full disk that this is about
                pass
    return kept


def _say(message: str, log: str | None) -> None:
    hint = f'traceback: {log}' if log else f'{SHOW}=1 shows the traceback'
    sys.stdout.flush()
    tool = Path(sys.argv[0]).name
    sys.stderr.write(f'{hint}\n{tool}: error: {message}\n')
    sys.stderr.flush()
