"""The peak of the memory that a pass needs."""

from collections.abc import Callable
from itertools import accumulate
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile


def peak_of(call: Callable[[], Any], device: torch.device) -> int:
    """Call something, and give the most bytes that it held at a time.

    These are the bytes of torch's tensors, those that it keeps for a backward
    pass among them. What was held before is not counted, and on a CPU neither
    is what numpy or the kernels of libraries allocate for themselves.
    """
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        call()
        return torch.cuda.max_memory_allocated(device) - before
    cpu = [ProfilerActivity.CPU]
    with profile(activities=cpu, profile_memory=True) as recorded:
        call()
    events = [
        (event.start_ns(), event.nbytes())
        for event in recorded.profiler.kineto_results.events()
        if event.name() == '[memory]'
    ]
    changes = (change for _, change in sorted(events, key=lambda e: e[0]))
    return max(accumulate(changes, initial=0))
