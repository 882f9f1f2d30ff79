"""The memory of a GPU that a detector needs at its peak."""

from typing import Any

import torch
from torch import nn


class PeakMemory:
    """Read the peak of the GPU's memory in the block; None on a CPU."""

    bytes: int | None = None

    def __init__(self, detector: nn.Module) -> None:
        self.device = next(detector.parameters()).device

    def __enter__(self) -> 'PeakMemory':
        if self.device.type == 'cuda':
            torch.cuda.reset_peak_memory_stats(self.device)
        return self

    def __exit__(self, *error: Any) -> None:
        if self.device.type == 'cuda':
            self.bytes = torch.cuda.max_memory_allocated(self.device)
