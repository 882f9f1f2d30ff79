"""Build models on the meta device, where tensors have only shapes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


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
