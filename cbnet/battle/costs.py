"""What each entry of a battle costs, before anything is trained."""

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.optim import OptimWrapper
from torch import nn

from ..analysis.complexity import measure
from ..analysis.complexity.latency import measure_latency
from ..analysis.complexity.memory import PeakMemory
from ..analysis.complexity.step import in_first_step, measure_step
from ..analysis.complexity.timing import timed
from ..arguments import explained
from ..atomic_files import write_whole
from ..engine.verification import build_detector
from ..messages import one_line
from .optimizers import build_optimizer

_COSTS = 'costs.json'


@dataclass(frozen=True)
class EntryCost:
    """What an entry costs; None stands for what was not measured.

    Attributes:
        parameters: the number of all parameters.
        trained: the number of those that are trained.
        macs: the multiply-accumulates of inference on one image.
        latency: the median time to detect in one image, in seconds.
        latency_p95: the time that 95 % of the images stay below.
        throughput: the images per second, several at a time.
        step: the median time of a training step, in seconds, in the
            precision and with the optimizer of the protocol, and without
            loading.
        kept: the bytes of activations that a training step keeps.
        memory_inference: the peak of the GPU's memory in inference, in
            bytes.
        memory_training: the same of a training step.
        failed: why it does not run; None if it does.
        device: the name of the GPU that it was timed on, or ``cpu``.
    """

    parameters: int
    trained: int
    macs: int | None = None
    latency: float | None = None
    latency_p95: float | None = None
    throughput: float | None = None
    step: float | None = None
    kept: int | None = None
    memory_inference: int | None = None
    memory_training: int | None = None
    failed: str | None = None
    device: str | None = None

    @property
    def seconds(self) -> float:
        """The seconds of a step for the time left; 1 if not measured."""
        return self.step or 1.0


def measure_entry(
    cfg: Config,
    shape: tuple[int, int],
    batch: Mapping[str, Any] | None,
    times: int,
) -> EntryCost:
    """Measure one entry.

    Args:
        cfg: its config.
        shape: the (H, W) of a usual image in pixels.
        batch: a batch of the training data; None leaves training out.
        times: the number of passes that are timed; 0 for none.

    Raises:
        ValueError: the config does not build.
    """
    total = measure(cfg, shape).total
    sizes = dict(
        parameters=total.parameters, trained=total.trainable, macs=total.macs
    )
    if not times:
        return EntryCost(**sizes)
    with explained('the detector cannot be built'):
        detector = build_detector(cfg, {})
    sizes['device'] = device_name()
    try:
        found = _timed(detector.to(get_device()), cfg, shape, batch, times)
    except Exception as error:  # too little memory, or any library's own
        return EntryCost(**sizes, failed=one_line(error, 300))
    return EntryCost(**sizes, **found)


def device_name() -> str:
    """Name the device that costs are measured on."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return get_device()


def _timed(
    detector: nn.Module,
    cfg: Config,
    shape: tuple[int, int],
    batch: Mapping[str, Any] | None,
    times: int,
) -> dict[str, Any]:
    with PeakMemory(detector) as inference:
        latency = measure_latency(detector, shape, times)
    found = dict(
        latency=latency.median,
        latency_p95=latency.p95,
        throughput=latency.throughput,
        memory_inference=inference.bytes,
    )
    if batch is None:
        return found
    wrapper = build_optimizer(detector, cfg)
    with wrapper.optim_context(detector):  # the precision of the training
        kept = measure_step(detector, dict(batch), 0).kept
    with PeakMemory(detector) as training:
        step = _time_training(detector, wrapper, batch, max(times // 3, 1))
    return found | dict(step=step, kept=kept, memory_training=training.bytes)


def _time_training(
    detector: nn.Module,
    wrapper: OptimWrapper,
    batch: Mapping[str, Any],
    times: int,
) -> float:
    """Train on a batch, which changes the weights; give the median time.

    The first step, which makes the state of the optimizer, is not timed.
    """
    device = next(detector.parameters()).device

    def step() -> None:
        detector.train_step(deepcopy(dict(batch)), wrapper)

    with in_first_step():
        return median([timed(step, device) for _ in range(1 + times)][1:])


def read_costs(folder: Path) -> dict[str, EntryCost]:
    """Read the costs that an earlier call has measured, by entry."""
    file = folder / _COSTS
    known = json.loads(file.read_text()) if file.exists() else {}
    return {name: EntryCost(**cost) for name, cost in known.items()}


def write_costs(costs: Mapping[str, EntryCost], folder: Path) -> None:
    """Keep the costs, so that the steps of a time budget stay as they are."""
    content = {name: vars(cost) for name, cost in costs.items()}
    write_whole(folder / _COSTS, json.dumps(content, indent=2).encode())
