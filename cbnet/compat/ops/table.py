"""The table of served operators and the decorator that fills it."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import torch


class ServedOp(NamedTuple):
    """One operator of ``mmcv._ext`` and who computes it."""

    function: Callable[..., Any]
    source: Literal['torchvision', 'torch']


SERVED: dict[str, ServedOp] = {}


def serve(
    source: Literal['torchvision', 'torch'],
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function as the operator of the same name.

    The function takes the arguments that ``mmcv.ops`` passes, by the same
    names, and writes into the output tensors it is given.  Like a compiled
    operator it is invisible to autograd.

    Args:
        source: who computes it, the library with the kernel or plain torch.

    Raises:
        ValueError: two functions claim one operator.
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        name = function.__name__
        if name in SERVED:
            raise ValueError(
                f'the operator {name!r} is served twice: by '
                f'{SERVED[name].function.__module__} and '
                f'{function.__module__}; rename or remove one'
            )
        op = torch.no_grad()(function)
        SERVED[name] = ServedOp(op, source)
        return op

    return register
