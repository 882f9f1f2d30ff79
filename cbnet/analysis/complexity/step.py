"""What one training step costs: its time and the activations it keeps."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import dataclass
from statistics import median
from typing import Any

from mmengine.logging import MessageHub
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from ...models.backbones.connections import Connection
from .timing import timed


@dataclass(frozen=True)
class Step:
    """The cost of a forward and a backward pass.

    Attributes:
        seconds: the median time of a step.
        kept: the bytes of activations that are kept for the backward pass.
    """

    seconds: float
    kept: int


def measure_step(
    detector: nn.Module, batch: dict[str, Any], times: int = 3
) -> Step:
    """Train on a batch without changing the weights.

    The statistics of norms move, as in every forward pass of training.

    Args:
        detector: the detector, on the device to measure.
        batch: what its ``data_preprocessor`` takes.
        times: the number of steps that are timed, after one that is not.
    """
    detector.train()
    with _counted(detector) as kept:
        time_step(detector, batch)
    seconds = [time_step(detector, batch) for _ in range(times)]
    return Step(median(seconds or [0.0]), sum(kept.values()))


def time_step(
    detector: nn.Module, batch: dict[str, Any], clock: str = 'wall'
) -> float:
    """Return the seconds of a forward and a backward pass.

    Args:
        detector: the detector, in training mode.
        batch: what its ``data_preprocessor`` takes.
        clock: one of ``CLOCKS``.
    """
    with in_first_step():
        data = detector.data_preprocessor(deepcopy(batch), True)
    device = next(detector.parameters()).device

    def step() -> None:
        losses = detector(**data, mode='loss')
        detector.parse_losses(losses)[0].backward()

    with in_first_step():
        seconds = timed(step, device, clock)
    detector.zero_grad(set_to_none=True)
    return seconds


@contextmanager
def in_first_step() -> Iterator[None]:
    """Publish what mmengine's runner does in the first step of a training.

    Batch augmentations and the schedule of the assistance read it. In this
    step, all assistants are supervised.
    """
    hub = MessageHub.get_current_instance()
    first = dict(iter=0, max_iters=1)
    before = {key: hub.get_info(key) for key in first}
    hub.update_info_dict(first)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                hub.pop_info(key)
            else:
                hub.update_info(key, value)


@contextmanager
def _counted(detector: nn.Module) -> Iterator[dict[int, int]]:
    """Count the bytes of each storage that is kept, weights left out."""
    kept: dict[int, int] = {}
    own = {p.untyped_storage().data_ptr() for p in detector.parameters()}

    def pack(value: Tensor) -> Tensor:
        storage = value.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return value

    def again() -> saved_tensors_hooks:
        return saved_tensors_hooks(pack, lambda value: value)

    # Hooked members pause such hooks while a connection computes.
    inner = again()
    connections = [m for m in detector.modules() if isinstance(m, Connection)]
    with ExitStack() as stack, again():
        for one in connections:
            before = one.register_forward_pre_hook(
                lambda *_: inner.__enter__()
            )
            after = one.register_forward_hook(lambda *_: inner.__exit__())
            stack.callback(before.remove)
            stack.callback(after.remove)
        yield kept
