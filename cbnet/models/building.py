"""Build models on the meta device, where tensors have only shapes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
from mmdet.registry import MODELS
from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope
from torch import nn
from torch.overrides import TorchFunctionMode

from ..config_files import check_teacher
from ..errors import UserValueError
from ..messages import one_line

#: what constructors say that cannot work on the meta device; transformers
#: loads no text model where a default device is set
_REFUSALS = ('meta', 'torch.device')


def build_without_weights(
    cfg: Config, part: ConfigDict | None = None
) -> nn.Module:
    """Build the model of a config, or a part of it, on the meta device.

    No pretrained file is read. A model whose constructor needs numbers
    cannot be built on the meta device and is built in memory.

    Args:
        cfg: the whole config, which gives the scope.
        part: the part of the model's config; None stands for the model.

    Raises:
        ValueError: the model does not build; the message gives the reason.
    """
    scope = cfg.get('default_scope') or 'mmdet'
    with DefaultScope.overwrite_default_scope(scope):
        try:
            check_teacher(part or cfg.model)
            return _build_on_meta(part or cfg.model)
        except Exception as error:  # constructors may raise anything
            raise UserValueError(one_line(error)) from error


@contextmanager
def on_meta() -> Iterator[None]:
    """Make all tensors inside the block on the meta device.

    ``torch.linspace`` stays in memory, because constructors compute drop path
    rates with ``torch.linspace(...).item()``.
    """
    with torch.device('meta'), _NumbersInMemory():
        yield


class _NumbersInMemory(TorchFunctionMode):
    def __torch_function__(
        self,
        func: Callable,
        types: tuple[type, ...],
        args: tuple = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.linspace:
            kwargs.setdefault('device', 'cpu')
        return func(*args, **kwargs)


def _build_on_meta(cfg: ConfigDict) -> nn.Module:
    # Constructors may change the config that they are given.
    try:
        with on_meta():
            return MODELS.build(_prepared(deepcopy(cfg)))
    except (NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        if not any(word in str(error) for word in _REFUSALS):
            raise
    return MODELS.build(_prepared(deepcopy(cfg)))


def _prepared(value: Any) -> Any:
    """Change what a constructor would reach for beyond the model, in place.

    mmcv's SyncBN needs a process group when it is built; a teacher's
    checkpoint would be downloaded.
    """
    if isinstance(value, dict):
        if value.get('type') == 'MMSyncBN':
            value['type'] = 'BN'
        if 'teacher_ckpt' in value:
            value['teacher_ckpt'] = None
    if isinstance(value, dict | list | tuple):
        for part in value.values() if isinstance(value, dict) else value:
            _prepared(part)
    return value
