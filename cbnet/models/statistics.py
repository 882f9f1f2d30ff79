"""Hold the running statistics of normalisation layers still for a while."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from torch import nn
from torch.nn.modules.batchnorm import _NormBase


@contextmanager
def frozen_statistics(*modules: nn.Module) -> Iterator[None]:
    """Keep running means and variances as they are inside the block.

    Layers in training mode go on normalising with the statistics of the
    batch; they only stop recording them (``num_batches_tracked`` included).
    Used where a module sees the same step twice: the assistants' passes
    through shared heads, and recomputation under activation checkpointing.
    """
    recording = [
        (layer, layer.momentum, layer.num_batches_tracked)
        for module in modules
        for layer in module.modules()
        if isinstance(layer, _NormBase)
        and layer.training
        and layer.track_running_stats
    ]
    for layer, _, count in recording:
        # The layer still takes its buffers (recomputation must save what
        # the first run saved), but moves them by a share of zero.
        layer.momentum = 0.0
        layer.num_batches_tracked = count.clone()
    try:
        yield
    finally:
        for layer, momentum, count in recording:
            layer.momentum = momentum
            layer.num_batches_tracked = count


def recomputation_contexts(
    module: nn.Module,
) -> tuple[AbstractContextManager, AbstractContextManager]:
    """Give the contexts of the two runs of an activation checkpoint.

    The second run must not record statistics a second time.
    """
    return nullcontext(), frozen_statistics(module)
