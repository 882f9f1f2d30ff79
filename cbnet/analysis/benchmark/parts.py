"""Which part of a detector takes how long, in one pass."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any

import torch
from torch import nn

from ...compat.mmengine_internals import answer_calls
from ...models.backbones import CompositeBackbone
from ..complexity.timing import CLOCKS, wait

# Methods of heads that turn maps into detections.
_AFTER = 'predict_by_feat'


class PartClock:
    """Adds up the seconds of the parts that run inside of each other.

    A second belongs to the innermost part, so that the parts add up to the
    whole pass.

    Args:
        device: the device, which is waited for whenever the part changes;
            None: the CPU.
        clock: one of ``CLOCKS``.

    Attributes:
        seconds: the seconds of each part.
    """

    def __init__(
        self, device: torch.device | None = None, clock: str = 'wall'
    ) -> None:
        self.device, self.now = device or torch.device('cpu'), CLOCKS[clock]
        self.seconds: Counter[str] = Counter()
        self._running: list[str] = []
        self._since = 0.0

    @contextmanager
    def run(self, part: str) -> Iterator[None]:
        """Count the block, but for the parts inside of it."""
        self._settle()
        self._running.append(part)
        try:
            yield
        finally:
            self._settle()
            self._running.pop()

    def _settle(self) -> None:
        wait(self.device)
        now = self.now()
        if self._running:
            self.seconds[self._running[-1]] += now - self._since
        self._since = now


@contextmanager
def timed_parts(detector: nn.Module, clock: PartClock) -> Iterator[None]:
    """Let a clock know which part of a detector runs in the block."""
    with ExitStack() as stack:
        for owner, method, part in _calls(detector):
            timed = _timed(getattr(owner, method), clock, part)
            stack.enter_context(answer_calls(owner, method, timed))
        yield


def _timed(
    call: Callable[..., Any], clock: PartClock, part: str
) -> Callable[..., Any]:
    @wraps(call)
    def timed(*args: Any, **kwargs: Any) -> Any:
        with clock.run(part):
            return call(*args, **kwargs)

    return timed


def _calls(detector: nn.Module) -> Iterator[tuple[Any, str, str]]:
    """Yield the objects and methods whose calls are parts, with names."""
    for name, child in detector.named_children():
        if name == 'data_preprocessor':
            yield child, 'forward', 'data'
        elif isinstance(child, CompositeBackbone):
            yield from _composite(child)
        elif name in ('rpn_head', 'roi_head', 'bbox_head', 'mask_head'):
            for method in ('predict', 'loss', 'loss_and_predict'):
                if hasattr(child, method):
                    yield child, method, name
        else:
            yield child, 'forward', name
    for name, module in detector.named_modules():
        if hasattr(module, _AFTER):
            masks = 'mask' in name
            part = 'mask pasting' if masks else 'post-processing'
            yield module, _AFTER, part


def _composite(composite: CompositeBackbone) -> Iterator[tuple[Any, str, str]]:
    last = composite.num_members - 1
    for k, adapter in enumerate(composite.adapters):
        part = f'member {k} ({"lead" if k == last else "assistant"})'
        for method in ('run', 'emit'):
            yield adapter, method, part
    for connection in composite.connections:
        yield connection, 'forward', 'connections'
