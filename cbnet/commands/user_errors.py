"""End a command with one line if its error was written for the user.

For a :class:`~cbnet.errors.UserError` a traceback hides what matters; it
goes to the log file of the run.  The same holds for a full disk and for a
file or folder that the system refuses.  An interruption from the keyboard is
one line, too.  Every other error keeps its traceback.
"""

import errno
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.error import URLError

from ..errors import UserError
from ..messages import one_line

#: the environment variable that asks for the traceback instead
SHOW = 'CBNET_TRACEBACK'
#: what is wrong with a file or folder that the user named, and what to do
_FILE_ERRORS = {
    errno.EEXIST: 'a file is there, where a folder is needed; name another',
    errno.ENOTDIR: 'a part of this path is a file and no folder; name another',
    errno.EISDIR: 'this is a folder, where a file is needed; name a file',
    errno.EACCES: 'you may not open or write it; change its permissions, or '
    'name another',
    errno.EPERM: 'the system does not permit it; name another',
    errno.EROFS: 'its disk cannot be written; name another place',
    errno.ENAMETOOLONG: 'this name is too long; name another',
    errno.ELOOP: 'its links lead in a circle; name another',
}


@contextmanager
def plain_errors(program: str) -> Iterator[None]:
    """Turn an error for the user into one line and exit status 2.

    Args:
        program: the command as the user called it, for the line.
    """
    try:
        yield
    except KeyboardInterrupt:
        if not os.environ.get(SHOW):
            # It still ends the process by the signal, as shells expect.
            sys.excepthook = lambda *_: print(
                f'{program}: interrupted', file=sys.stderr
            )
        raise
    except Exception as error:
        message = user_message(error)
        if message is None or os.environ.get(SHOW):
            raise
        log = _log_traceback(error)
        hint = f'traceback: {log}' if log else f'{SHOW}=1 shows the traceback'
        sys.stdout.flush()
        print(f'{hint}\n{program}: error: {message}', file=sys.stderr)
        sys.stderr.flush()
        dist = sys.modules.get('torch.distributed')
        if dist and dist.is_available() and dist.is_initialized():
            # A regular exit would wait in the threads of the process group
            # for the other processes, and abort the interpreter.
            os._exit(2)
        raise SystemExit(2) from None


def user_message(error: Exception) -> str | None:
    """Give the line for the user, or None if the error is not for users."""
    no_space = (errno.ENOSPC, errno.EDQUOT)
    if isinstance(error, OSError) and error.errno in no_space:
        return (
            f'{error}; make room on the disk, then repeat the command '
            f'(a training with --resume)'
        )
    if isinstance(error, URLError):  # its text does not say what failed
        return f'an address cannot be read: {one_line(error.reason)}'
    if isinstance(error, UserError):
        return one_line(error)
    advice = _FILE_ERRORS.get(getattr(error, 'errno', None))
    if advice and getattr(error, 'filename', None):
        return f'{error.filename}: {advice}'
    return None


def _log_traceback(error: Exception) -> str | None:
    """Write the traceback into the run's log file; give its path."""
    if 'mmengine.logging' not in sys.modules:  # there is no run yet
        return None
    from mmengine.logging import MMLogger

    kept = None
    for handler in MMLogger.get_current_instance().handlers:
        if isinstance(handler, logging.FileHandler):
            record = logging.LogRecord(
                'cbnet', logging.ERROR, __file__, 0, 'stopped', None,
                (type(error), error, error.__traceback__),
            )  # fmt: skip
            with suppress(OSError):  # such as the full disk it is about
                # The handler itself would print what it fails to write.
                handler.stream.write(handler.format(record) + '\n')
                handler.flush()
                kept = handler.baseFilename
    return kept
