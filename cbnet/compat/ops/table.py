"""The table of served operators and the decorator that fills it."""

import functools
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
        if source == 'torchvision':
            function = _with_kernels(function)
        SERVED[name] = ServedOp(torch.no_grad()(function), source)
        return SERVED[name].function

    return register


def _with_kernels(function: Callable) -> Callable:
    """Import torchvision, which defines its kernels, at the first call.

    It imports torch's compiler, which takes longer than all of mmdet.
    """

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        import torchvision  # noqa: F401 (defines torch.ops.torchvision)

        return function(*args, **kwargs)

    return call
