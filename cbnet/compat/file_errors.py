"""One sentence for whatever is wrong with a file of weights."""

import pickle
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from safetensors import SafetensorError

from ..errors import BrokenCheckpointError, UnsafeCheckpointError, UserError
from ..messages import one_line

# What the user asked for: loaders call each other with names of their own.
_asked: ContextVar[Any] = ContextVar('asked', default=None)
_AGAIN = 'Download or copy it again; delete a cached download first'
_BROKEN = 'not a checkpoint that torch can read safely'
# What torch, its unpickler, zipfile and safetensors raise for bad data.
_BAD_DATA = (
    pickle.UnpicklingError, EOFError, LookupError, TypeError, AttributeError,
    ValueError, OverflowError, AssertionError, MemoryError, RecursionError,
    NotImplementedError, struct.error, zipfile.BadZipFile, tarfile.TarError,
    zlib.error, SafetensorError,
)  # fmt: skip
#: what optimizers, schedulers and hooks raise for a state of another kind
STATE_ERRORS = (
    AssertionError, AttributeError, LookupError, TypeError, ValueError,
)  # fmt: skip
# torch reports the rest as a RuntimeError, but wrong devices as well.
_BAD_FILE = re.compile(
    'PytorchStreamReader|enforce fail|unexpected (EOF|pos)|record|overflow|'
    'nvalid (magic|protocol)|torage (size|has wrong)|out of bounds|negative|'
    'resize storage|ncrypted'
)


class FileFault(Exception):
    """What is wrong with a file, said without its name.

    The reader of a file may know only a temporary copy; whoever asked for
    the file adds the name, with ``clear_errors``.

    Args:
        reason: what was found.
        remedy: what the user can do.
        unsafe: whether the file asks for something other than data.
    """

    def __init__(
        self, reason: str, remedy: str = _AGAIN, unsafe: bool = False
    ) -> None:
        super().__init__(reason)
        self.remedy, self.unsafe = remedy, unsafe

    def named(self, source: Any) -> UserError:
        """Return the error for the user."""
        if self.unsafe:
            return _unsafe(source, str(self))
        return BrokenCheckpointError(f'{source}: {self}. {self.remedy}')


@contextmanager
def clear_errors(source: Any) -> Iterator[None]:
    """Turn the errors of a reader into one that names the file.

    Args:
        source: the file; inside another such block, that block's counts.

    Raises:
        UnsafeCheckpointError: the file asks for something other than data.
        BrokenCheckpointError: the file cannot be read, or holds something
            that no file of weights holds.
    """
    source = _asked.get() or source
    token = _asked.set(source)
    try:
        yield
    except UserError:
        raise
    except FileFault as fault:
        raise fault.named(source) from None
    except (pickle.UnpicklingError, RuntimeError) as error:
        # timm wraps the unpickler's error in a RuntimeError of its own.
        found = error.__cause__ or error
        if isinstance(found, FileFault):
            raise found.named(source) from None
        if not isinstance(found, pickle.UnpicklingError):
            raise
        raise _fault(found).named(source) from None
    finally:
        _asked.reset(token)


@contextmanager
def reading() -> Iterator[None]:
    """Turn what a reader raises for bad data into a ``FileFault``.

    Only calls that read a file belong into the block, because a fault of the
    program's own would look like one of the file.
    """
    try:
        yield
    except (UserError, FileFault):
        raise
    except _BAD_DATA as error:
        raise _fault(error) from error
    except RuntimeError as error:
        if 'weights_only' not in str(error) and not _BAD_FILE.search(
            str(error)
        ):
            raise
        raise _fault(error) from error


def _fault(error: BaseException) -> FileFault:
    text = str(error)[:10_000]
    if found := re.search(r'GLOBAL (\S+)', text):
        return FileFault(f'it asks for {found[1]}', unsafe=True)
    # Keep what the unpickler or one of our stand-ins said, without torch's
    # advice to switch safe loading off.
    *_, said = text.rpartition('WeightsUnpickler error:')
    refused = isinstance(error, pickle.UnpicklingError)
    if 'Unsupported operand' not in text and (
        refused or 'weights_only' in text
    ):
        return FileFault(_first_line(said).split('. ')[0], unsafe=True)
    said = _first_line(said) or 'it ends too early'
    if not isinstance(error, RuntimeError | EOFError):
        said = f'{type(error).__name__}: {said}'
    return FileFault(
        f'{_BROKEN}: the file is cut short or of another kind '
        f'({one_line(said, 300)})'
    )


def _first_line(text: str) -> str:
    """Keep what was said, without torch's advice to load unsafely."""
    *_, text = text.rpartition('WeightsUnpickler error:')
    return next((s.rstrip('.') for s in text.strip().splitlines()), '')


def _unsafe(source: Any, reason: str) -> UnsafeCheckpointError:
    return UnsafeCheckpointError(
        f'{source}: refused, because a checkpoint may hold only data: '
        f'{reason}. Nothing in the file was used. If you need its '
        f'weights and trust its source, load it with the software that '
        f'wrote it and save plain tensors (docs/checkpoints.md)'
    )
