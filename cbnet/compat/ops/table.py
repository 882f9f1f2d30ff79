"""The table of served operators and the decorator that fills it."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import torch

Source = Literal['torchvision', 'torch']


class ServedOp(NamedTuple):
    """One operator of ``mmcv._ext`` and the library that computes it."""

    function: Callable[..., Any]
    source: Source


SERVED: dict[str, ServedOp] = {}


def serve(source: Source) -> Callable[[Callable], Callable]:
    """Register a function as the operator of the same name.

    The function takes the arguments that ``mmcv.ops`` passes, under the same
    names, and writes into the output tensors that it is given.  Like a
    compiled operator it is invisible to autograd.

    Args:
        source: the library that computes the operator.

    Raises:
        ValueError: two functions claim one operator.
    """

    def register(function: Callable) -> Callable:
        name = function.__name__
        if name in SERVED:
            raise ValueError(
                f'the operator {name!r} is served twice: by '
                f'{SERVED[name].function.__module__} and '
                f'{function.__module__}; rename or remove one'
            )
        SERVED[name] = ServedOp(torch.no_grad()(function), source)
        return SERVED[name].function

    return register
