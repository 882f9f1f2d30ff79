"""Times of things that are measured in turn, and what they say together."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import truediv
from time import perf_counter, process_time
from typing import Any

import numpy as np
import torch

#: what a second is: of the wall clock, or of a CPU that this process used
CLOCKS = {'wall': perf_counter, 'cpu': process_time}


@dataclass(frozen=True)
class Times:
    """Times of one thing, in seconds and in the order of measurement."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The time that half of the passes stay below."""
        return float(np.median(self.seconds))

    @property
    def p95(self) -> float:
        """The time that 95 % of the passes stay below."""
        return float(np.percentile(self.seconds, 95))


@dataclass(frozen=True)
class Ratio:
    """How many times as long something takes as something else.

    Attributes:
        median: the median of the ratios, one for each round.
        low: the lower quartile of them.
        high: the upper quartile.
    """

    median: float
    low: float
    high: float

    def __truediv__(self, other: float) -> 'Ratio':
        return Ratio(self.median / other, self.low / other, self.high / other)


def wait(device: torch.device) -> None:
    """Wait until a device has computed what it was asked for."""
    if device.type == 'cuda':
        torch.cuda.synchronize(device)


def timed(
    call: Callable[[], Any], device: torch.device, clock: str = 'wall'
) -> float:
    """Return the seconds of a call, with all that a device does for it."""
    now = CLOCKS[clock]
    wait(device)
    start = now()
    call()
    wait(device)
    return now() - start


def alternate(
    calls: Mapping[str, Callable[[], float]], rounds: int, warm_up: int = 2
) -> dict[str, Times]:
    """Measure several things in turn, so that others slow them alike.

    Every other round goes backwards: nothing always follows the same.

    Args:
        calls: what is measured, by name; each returns its seconds.
        rounds: the number of times that are kept of each.
        warm_up: the number before them that are not.
    """
    kept: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        for _ in range(warm_up):
            call()
    for number in range(rounds):
        names = list(calls)
        for name in reversed(names) if number % 2 else names:
            kept[name].append(calls[name]())
    return {name: Times(tuple(seconds)) for name, seconds in kept.items()}


def ratio(times: Times, reference: Times) -> Ratio:
    """Compare times with those of a reference, round by round."""
    found: Sequence[float] = [*map(truediv, times.seconds, reference.seconds)]
    low, median, high = np.percentile(found, [25, 50, 75])
    return Ratio(float(median), float(low), float(high))
