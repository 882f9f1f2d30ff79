"""Let activation checkpoints record the statistics of norms only once."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from torch import nn
from torch.nn.modules.batchnorm import _NormBase


@contextmanager
def _frozen_statistics(module: nn.Module) -> Iterator[None]:
    """Keep running means and variances unchanged inside the block.

    Layers in training mode still normalise with the statistics of the batch,
    but do not record them (nor count in ``num_batches_tracked``).
    """
    recording = [
        (layer, layer.momentum, layer.num_batches_tracked)
        for layer in module.modules()
        if isinstance(layer, _NormBase)
        and layer.training
        and layer.track_running_stats
    ]
    for layer, _, count in recording:
        # The layer must still read its buffers, because recomputation has to
        # save the same tensors as the first run; momentum 0 keeps them.
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
    return nullcontext(), _frozen_statistics(module)
