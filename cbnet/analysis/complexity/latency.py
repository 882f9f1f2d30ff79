"""What it takes to detect in an image: the time, and the memory."""

from dataclasses import dataclass
from typing import Any

import torch
from mmdet.structures import DetDataSample
from torch import nn

from .timing import Times, timed

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
    one, several = (noise(shape, number) for number in (1, batch_size))
    for _ in range(_WARM_UP):
        time_detection(detector, one)
    alone, together = (
        Times(tuple(time_detection(detector, batch) for _ in range(number)))
        for batch, number in ((one, times), (several, min(times, 3)))
    )
    return Latency(alone.median, alone.p95, batch_size / together.median)


def noise(shape: tuple[int, int], number: int) -> dict[str, Any]:
    """Make a batch of images of noise, as a data loader does."""
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


def detect(detector: nn.Module, batch: dict[str, Any]) -> Any:
    """Detect in a batch, which stays as it was."""
    samples = [sample.clone() for sample in batch['data_samples']]
    with torch.no_grad():
        return detector.test_step(dict(batch, data_samples=samples))


def time_detection(
    detector: nn.Module, batch: dict[str, Any], clock: str = 'wall'
) -> float:
    """Return the seconds that a detector takes for a batch."""
    device = next(detector.parameters()).device
    return timed(lambda: detect(detector, batch), device, clock)
