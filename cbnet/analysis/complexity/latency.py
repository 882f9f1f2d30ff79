"""What it takes to detect in an image: the time, and the memory."""

from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import torch
from mmdet.structures import DetDataSample
from torch import nn

from .step import wait

_WARM_UP = 2


@dataclass(frozen=True)
class Latency:
    """The cost of detecting, from the image to the detections.

    Attributes:
        median: the median time of one image, in seconds.
        p95: the time that 95 % of the images stay below, in seconds.
        throughput: the images per second, several at a time.
    """

    median: float
    p95: float
    throughput: float


def measure_latency(
    detector: nn.Module,
    shape: tuple[int, int],
    times: int = 10,
    batch_size: int = 2,
) -> Latency:
    """Time a detector on an image of noise, which stays in eval mode.

    Args:
        detector: the detector, on the device to measure.
        shape: the (H, W) of the image in pixels.
        times: the number of passes that are timed, after two that are not.
        batch_size: the images at a time for the throughput.
    """
    detector.eval()
    one, several = (_batch(shape, number) for number in (1, batch_size))
    for _ in range(_WARM_UP):
        _time(detector, one)
    seconds = [_time(detector, one) for _ in range(times)]
    together = [_time(detector, several) for _ in range(min(times, 3))]
    return Latency(
        float(np.median(seconds)),
        float(np.percentile(seconds, 95)),
        batch_size / float(np.median(together)),
    )


def _batch(shape: tuple[int, int], number: int) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    about = dict(img_shape=shape, ori_shape=shape, scale_factor=(1.0, 1.0))
    sizes = [(3, *shape)] * number
    return dict(
        inputs=[
            torch.randint(0, 256, size, generator=generator, dtype=torch.uint8)
            for size in sizes
        ],
        data_samples=[DetDataSample(metainfo=dict(about)) for _ in sizes],
    )


def _time(detector: nn.Module, batch: dict[str, Any]) -> float:
    device = next(detector.parameters()).device
    wait(device)
    start = perf_counter()
    with torch.no_grad():
        detector.test_step(
            dict(
                batch, data_samples=[s.clone() for s in batch['data_samples']]
            )
        )
    wait(device)
    return perf_counter() - start
