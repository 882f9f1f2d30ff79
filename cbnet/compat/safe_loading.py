"""Keep torch's safe loading on wherever mmengine reads a checkpoint.

Everything that mmengine, mmdet and cbnet load goes through one method,
``CheckpointLoader.load_checkpoint``: resuming, testing, inference, pretrained
files, all schemes.  It is wrapped here, and so is what the loaders of the
schemes call, for code that calls one of them directly.
"""

import functools
import logging
import os
import pickle
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from mmengine.logging import print_log

from ..errors import BrokenCheckpointError, UnsafeCheckpointError
from .literal_config import literal_fromstring, remember_texts
from .mmengine_internals import wrap_readers
from .safe_globals import only_stand_ins

_ON, _OFF = 'TORCH_FORCE_WEIGHTS_ONLY_LOAD', 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'
_lock = threading.RLock()
# What the user asked for: loaders call each other with names of their own.
_asked: ContextVar[Any] = ContextVar('asked', default=None)


@contextmanager
def forced_safe() -> Iterator[None]:
    """Make every ``torch.load`` safe, whatever its caller asks for.

    torch's own environment variables are the only switch that reaches a
    loader of another package.  Threads take turns, because they share the
    environment.
    """
    with _lock:
        before = {name: os.environ.pop(name, None) for name in (_ON, _OFF)}
        os.environ[_ON] = '1'
        if (before[_OFF] or '0').lower() in ('1', 'y', 'yes', 'true'):
            print_log(
                f'{_OFF} is set, but cbnet still loads checkpoints safely '
                '(docs/checkpoints.md)',
                logger='current',
                level=logging.WARNING,
            )
        try:
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value


@contextmanager
def clear_errors(source: Any) -> Iterator[None]:
    """Turn torch's errors into one that names the file and the reason.

    Args:
        source: the file; inside another such block, that block's counts.

    Raises:
        UnsafeCheckpointError: the file asks for something other than data.
        BrokenCheckpointError: the file cannot be read to its end.
    """
    source = _asked.get() or source
    token = _asked.set(source)
    try:
        yield
    except (UnsafeCheckpointError, BrokenCheckpointError):
        raise
    except (
        pickle.UnpicklingError,
        RuntimeError,
        EOFError,
        IndexError,  # from torch's unpickler, if its stack is empty
    ) as error:
        # timm wraps the unpickler's error in a RuntimeError of its own.
        found = error
        if isinstance(error.__cause__, pickle.UnpicklingError):
            found = error.__cause__
        text = str(found)
        if isinstance(found, EOFError | IndexError) or re.search(
            'Unsupported operand|PytorchStreamReader|unexpected EOF', text
        ):
            raise BrokenCheckpointError(
                f'{source}: not a checkpoint that torch can read safely: the '
                f'file is cut short or of another kind '
                f'({_reason(text) or "it ends too early"}). Download or '
                f'copy it again; delete a cached download first'
            ) from None
        if (
            not isinstance(found, pickle.UnpicklingError)
            and 'weights_only' not in text
        ):
            raise
        raise UnsafeCheckpointError(
            f'{source}: refused, because a checkpoint may hold only data: '
            f'{_reason(text)}. Nothing in the file was used. If you need its '
            f'weights and trust its source, load it with the software that '
            f'wrote it and save plain tensors (docs/checkpoints.md)'
        ) from None
    finally:
        _asked.reset(token)


@contextmanager
def safe_reading(source: Any) -> Iterator[None]:
    """Let everything that the block loads be only data.

    Args:
        source: the name of the file in errors.

    Raises:
        UnsafeCheckpointError: a file asks for something other than data.
        BrokenCheckpointError: a file cannot be read to its end.
    """
    with clear_errors(source), forced_safe(), only_stand_ins():
        yield


def _reason(text: str) -> str:
    if found := re.search(r'GLOBAL (\S+)', text):
        return f'it asks for {found[1]}'
    # Keep what the unpickler or one of our stand-ins said, without torch's
    # advice to switch safe loading off.
    *_, said = text.rpartition('WeightsUnpickler error:')
    return _first_line(said).split('. ')[0]


def _first_line(text: str) -> str:
    return next((s.rstrip('.') for s in text.strip().splitlines()), '')


def load_safely(
    file: str | os.PathLike[str],
    map_location: Any = 'cpu',
    name: str | None = None,
) -> Any:
    """Read a file with ``torch.load``, safely whatever the environment says.

    Args:
        file: the checkpoint file.
        map_location: the device of the tensors, as for ``torch.load``.
        name: the file's name in errors, by default its path.

    Raises:
        UnsafeCheckpointError: the file asks for something other than data.
        BrokenCheckpointError: the file cannot be read to its end.
    """
    with clear_errors(name or file), only_stand_ins():
        return torch.load(file, map_location=map_location, weights_only=True)


def _safe_checkpoint(load: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(load)
    def load_checkpoint(
        cls: type,
        filename: str,
        map_location: Any = None,
        logger: Any = 'current',
    ) -> Any:
        with safe_reading(filename):
            loaded = load(cls, filename, map_location, logger)
        remember_texts(loaded, filename)
        return loaded

    return load_checkpoint


def _safe_download(load: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(load)
    def load_url(url: str, *args: Any, **options: Any) -> Any:
        with safe_reading(url):
            return load(url, *args, **{**options, 'weights_only': True})

    return load_url


def _load(file: Any, map_location: Any = None, **options: Any) -> Any:
    """Answer ``torch.load``, whatever it is asked for."""
    named = isinstance(file, str | os.PathLike)
    return load_safely(file, map_location, None if named else 'a checkpoint')


def keep_loading_safe() -> None:
    """Wrap mmengine's loaders and its reader of config text, once.

    Raises:
        ImportError: if mmengine is not as expected.
    """
    wrap_readers(
        checkpoint=_safe_checkpoint,
        download=_safe_download,
        load=_load,
        parse=literal_fromstring,
    )
