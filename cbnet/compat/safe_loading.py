"""Keep torch's safe loading on wherever mmengine reads a checkpoint.

Everything that mmengine, mmdet and cbnet load goes through one method,
``CheckpointLoader.load_checkpoint``: resuming, testing, inference, pretrained
files, all schemes.  It is wrapped here, and so is what the loaders of the
schemes call, for code that calls one of them directly.
"""

import functools
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.logging import print_log

from ..errors import BrokenCheckpointError, UserError, UserValueError
from ..messages import one_line
from .checked_content import check_content
from .checked_files import load_checked, require_readable
from .file_errors import STATE_ERRORS, clear_errors
from .literal_config import literal_fromstring, remember_texts
from .mmengine_internals import wrap_readers, wrap_users
from .safe_globals import only_stand_ins

_ON, _OFF = 'TORCH_FORCE_WEIGHTS_ONLY_LOAD', 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'
_lock = threading.RLock()


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
def safe_reading(source: Any) -> Iterator[None]:
    """Let everything that the block loads be only data.

    Args:
        source: the name of the file in errors.

    Raises:
        UnsafeCheckpointError: a file asks for something other than data.
        BrokenCheckpointError: a file cannot be read to its end.
    """
    with (
        clear_errors(source),
        forced_safe(),
        only_stand_ins(),
        _checked_loads(),
    ):
        yield


@contextmanager
def _checked_loads() -> Iterator[None]:
    """Check what loaders of other packages read with ``torch.load``.

    The lock of ``forced_safe`` is held meanwhile.
    """
    found = torch.load

    def load(file: Any, map_location: Any = None, **_: Any) -> Any:
        return load_checked(file, map_location)

    torch.load = load
    try:
        yield
    finally:
        torch.load = found


def load_safely(
    file: str | os.PathLike[str],
    map_location: Any = 'cpu',
    name: str | None = None,
) -> Any:
    """Check and read a file, safely whatever the environment says.

    Args:
        file: the checkpoint file.
        map_location: the device of the tensors, as for ``torch.load``.
        name: the file's name in errors, by default its path.

    Raises:
        UnsafeCheckpointError: the file asks for something other than data.
        BrokenCheckpointError: the file cannot be read to its end.
    """
    with clear_errors(name or file), only_stand_ins():
        return load_checked(file, map_location)


def _safe_checkpoint(load: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(load)
    def load_checkpoint(
        cls: type,
        filename: str,
        map_location: Any = None,
        logger: Any = 'current',
    ) -> Any:
        if '://' not in filename:
            require_readable(os.path.expanduser(filename))
        with safe_reading(filename):
            loaded = load(cls, filename, map_location, logger)
            check_content(loaded)
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


def _clear_resume(resume: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(resume)
    def clear_resume(runner: Any, filename: str, *args: Any, **kw: Any) -> Any:
        try:
            return resume(runner, filename, *args, **kw)
        except UserError:
            raise
        except STATE_ERRORS as error:
            raise BrokenCheckpointError(
                f'{filename} cannot be resumed: the state of its run is '
                f'damaged or does not fit this run '
                f'({type(error).__name__}: {one_line(error, 300)}). To start '
                f'from its weights alone, use load_from without --resume'
            ) from error

    return clear_resume


def _clear_config(build: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(build)
    def init_model(self: Any, cfg: Any, weights: Any, *args: Any) -> Any:
        if cfg:
            return build(self, cfg, weights, *args)
        try:
            return build(self, cfg, weights, *args)
        except UserError:
            raise
        except STATE_ERRORS as error:
            raise UserValueError(
                f'{weights} does not hold a config that builds its model '
                f'({type(error).__name__}: {one_line(error, 300)}); give a '
                f"config: DetInferencer('config.py', '{weights}')"
            ) from error

    return init_model


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
    wrap_users(resume=_clear_resume, build=_clear_config)
