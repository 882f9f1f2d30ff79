"""Build models on the meta device: shapes without memory or numbers."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


@contextmanager
def on_meta() -> Iterator[None]:
    """Put every tensor that is made inside the block on the meta device.

    Constructors that need numbers keep them: rates of drop path come from
    ``torch.linspace(...).item()``, so ``linspace`` stays in memory.
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
