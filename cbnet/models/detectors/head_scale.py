"""Keep float16 gradients in range where no loss scale is known yet."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

#: as torch's GradScaler: the first factor, and the successes until it doubles
_START, _PATIENCE = 2.0**16, 2000


class HeadScale:
    """A factor that is halved until the gradients of a pass are finite.

    The loss scale of mixed precision is multiplied in after the passes, and
    without one, small gradients vanish in float16.  Unlike a loss scale, this
    one is tried again in the same step, so that no step is skipped for it.
    """

    def __init__(self) -> None:
        self.factor, self._successes = _START, 0

    def gradients(
        self, total: Tensor, inputs: Sequence[Tensor]
    ) -> tuple[tuple[Tensor | None, ...], float]:
        """Compute the gradients of a number.

        Args:
            total: the number; its graph is freed.
            inputs: what the gradients are taken with respect to.

        Returns:
            The gradients, None where the number does not depend on an input,
            times a factor, and that factor: 1 unless float16 is computed in.
        """
        kind = total.device.type
        mixed = torch.is_autocast_enabled(kind)
        half = mixed and torch.get_autocast_dtype(kind) == torch.float16
        # The types of the backward pass are those of the forward pass.
        with torch.autocast(kind, enabled=False):
            if not half or not total.isfinite():
                return _gradients(total, inputs), 1.0
            factor = self.factor
            while factor > 1:
                found = _gradients(total * factor, inputs, retain_graph=True)
                if _finite(found):
                    self._remember(factor)
                    return found, factor
                factor /= 2
            return _gradients(total, inputs), 1.0

    def _remember(self, factor: float) -> None:
        self._successes = self._successes + 1 if factor == self.factor else 0
        self.factor = factor
        if self._successes == _PATIENCE:
            self.factor, self._successes = factor * 2, 0


def _gradients(
    total: Tensor, inputs: Sequence[Tensor], retain_graph: bool = False
) -> tuple[Tensor | None, ...]:
    return torch.autograd.grad(
        total, inputs, retain_graph=retain_graph, allow_unused=True
    )


def _finite(gradients: Sequence[Tensor | None]) -> bool:
    known = [one for one in gradients if one is not None]
    return math.isfinite(get_total_norm(known, norm_type=math.inf))


def make_head_scale(backward: str) -> HeadScale | None:
    """Make the factor that a backward pass for each member needs."""
    return HeadScale() if backward == 'per_member' else None
