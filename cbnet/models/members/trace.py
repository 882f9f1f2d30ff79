"""What a backbone calls, in order: one traced pass.

A trace is the base of hooked members.  It finds where a stage begins and
which modules belong to it without knowing the architecture.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(eq=False)
class Call:
    """One call of a submodule.

    Attributes:
        name: the submodule's name in the backbone.
        module: the submodule.
        parent: the call inside which it happened; None: the backbone's own.
        arguments: its positional arguments.
        start: when it began, on a clock that ticks at each begin and end.
        end: when it ended.
        result: what it returned.
    """

    name: str
    module: nn.Module
    parent: 'Call | None'
    arguments: tuple
    start: int
    end: int = -1
    result: Any = None


@dataclass
class Trace:
    """One pass through a backbone.

    Attributes:
        size: the (H, W) of the traced image, in pixels.
        calls: every call of a submodule, in the order of their beginnings.
        maps: the maps (B, C, H, W) that the backbone emitted, by stage.
    """

    size: tuple[int, int]
    calls: list[Call] = field(default_factory=list)
    maps: list[Tensor] = field(default_factory=list)

    def first_inside(self, call: Call) -> Call | None:
        """Find the first call that another one makes."""
        return next((c for c in self.calls if c.parent is call), None)

    def is_called_once(self, call: Call) -> bool:
        """Tell whether a call is the only one of its module."""
        return sum(c.module is call.module for c in self.calls) == 1


def trace(
    backbone: nn.Module,
    forward: Callable[[Tensor], Sequence[Tensor]],
    image: Tensor,
) -> Trace:
    """Run a backbone once and write down every call of its submodules."""
    result = Trace(tuple(image.shape[-2:]))
    open_calls: list[Call] = []
    ticks = iter(range(2**62))

    def begin(name: str, module: nn.Module, args: tuple) -> None:
        parent = open_calls[-1] if open_calls else None
        call = Call(name, module, parent, args, next(ticks))
        open_calls.append(call)
        result.calls.append(call)

    def end(module: nn.Module, args: tuple, output: Any) -> None:
        call = open_calls.pop()
        call.end, call.result = next(ticks), output

    handles = []
    for name, module in backbone.named_modules():
        if module is not backbone:
            handles += [
                module.register_forward_pre_hook(
                    lambda m, args, name=name: begin(name, m, args)
                ),
                module.register_forward_hook(end),
            ]
    try:
        result.maps = list(forward(image))
    finally:
        for handle in handles:
            handle.remove()
    return result


def probe_image(
    backbone: nn.Module, size: tuple[int, int], batch: int = 1
) -> Tensor:
    """Make equal images (batch, 3, H, W), each pixel another value."""
    weight = next(backbone.parameters())
    x = torch.linspace(-1, 1, 3 * size[0] * size[1], device='cpu')
    return x.view(1, 3, *size).expand(batch, -1, -1, -1).to(weight)
