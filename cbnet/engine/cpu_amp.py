"""Mixed precision on a CPU."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmdet.registry import OPTIM_WRAPPERS
from mmengine.optim import OptimWrapper
from torch import nn


@OPTIM_WRAPPERS.register_module()
class CpuAmpOptimWrapper(OptimWrapper):
    """Run the training step under bfloat16 autocast on the CPU.

    mmengine's ``AmpOptimWrapper`` refuses a CPU.  bfloat16 has float32's
    range, so there is no loss to scale: everything but the context is
    ``OptimWrapper``, and checkpoints are interchangeable with its own.

    It has 8 significant bits: mmdet lays out the anchors of an image in the
    type of the scores, so proposals are rounded to 2 pixels from 256 on and
    to 8 from 1024 on.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Compute the model's losses in mixed precision."""
        with (
            super().optim_context(model),
            torch.autocast('cpu', dtype=torch.bfloat16),
        ):
            yield
