"""What a step of several detectors costs, measured side by side."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import nn

from ..analysis.complexity.step import measure_step, time_step
from ..analysis.complexity.timing import alternate, ratio

_ROUNDS = 11


@dataclass(frozen=True)
class Cost:
    """What a training step of a detector costs.

    Attributes:
        seconds: the median time of a forward and a backward pass.
        ratio: the median ratio to the reference's step just before it.
        kept: the bytes of activations that are kept for the backward pass.
        trained: the number of numbers that are trained.
        parameters: the number of all parameters.
    """

    seconds: float
    ratio: float
    kept: int
    trained: int
    parameters: int


def measure_costs(
    detectors: Mapping[str, nn.Module],
    batch: dict[str, Any],
    rounds: int = _ROUNDS,
) -> dict[str, Cost]:
    """Measure detectors in turn, so that what else runs slows them alike.

    Args:
        detectors: the detectors by name, on the device to measure; the
            first one is the reference of the ratios.
        batch: a batch of the training data.
        rounds: the number of steps of each that are timed.
    """
    kept = {n: measure_step(d, batch, 0).kept for n, d in detectors.items()}
    times = alternate(
        {n: partial(time_step, d, batch) for n, d in detectors.items()},
        rounds,
        warm_up=0,
    )
    reference = times[next(iter(times))]
    return {
        name: Cost(
            seconds=times[name].median,
            ratio=ratio(times[name], reference).median,
            kept=kept[name],
            trained=_count(detector, trained=True),
            parameters=_count(detector),
        )
        for name, detector in detectors.items()
    }


def _count(detector: nn.Module, trained: bool = False) -> int:
    return sum(
        p.numel()
        for p in detector.parameters()
        if p.requires_grad or not trained
    )
