"""When neck and heads run their backward pass: together, or per member.

Per member, the gradients of a member's losses are computed as soon as its
pass ends, with respect to its maps and to the parameters of neck and heads.
Only they are kept, and the activations of one pass are alive at a time.  The
backward pass of the step multiplies them by its own factor: a loss scale,
accumulated iterations, the weight of a branch.
"""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.structures import InstanceData
from mmengine.utils import is_list_of
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.distributed.fsdp import FSDPModule, FullyShardedDataParallel

from ...errors import UserTypeError, UserValueError
from .head_scale import HeadScale

Losses = dict[str, Any]


class Together:
    """One backward pass through all members' neck and heads."""

    def hand_out(self, maps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return what a pass computes with."""
        return maps

    def see_relayed(self, proposals: list[InstanceData]) -> None:
        """Look at the lead's proposals before other passes get them."""

    def end_pass(self, losses: Losses) -> Losses:
        """Return the losses of a pass."""
        return losses

    def join(self, losses: Losses) -> Losses:
        """Return the losses of the step."""
        return losses


class PerMember:
    """A backward pass through neck and heads for each member.

    The losses of the step depend on the maps and the parameters through one
    node, whose gradients are known.  So DDP, clipping and accumulation see
    an ordinary graph, with the same parameters in it.

    Args:
        detector: the detector, at the start of a step.
        scale: what keeps its gradients in the range of float16.

    Raises:
        TypeError: FSDP shards the detector.
    """

    def __init__(self, detector: nn.Module, scale: HeadScale) -> None:
        _refuse_shards(detector)
        self._parameters = [
            p for p in detector.parameters() if p.requires_grad
        ]
        self._scale = scale
        # Of the pass that runs: maps, and the leaves that stand for them.
        self._cuts: list[tuple[Tensor, Tensor]] = []
        # Of all passes: gradients of maps, each with its factor, and sums of
        # those of parameters, by id.
        self._of_maps: list[tuple[Tensor, Tensor, float]] = []
        self._of_parameters: dict[int, tuple[Tensor, Tensor, float]] = {}

    def hand_out(self, maps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return leaves in the place of the maps (B, C, H, W) of a member."""
        leaves = [y.detach().requires_grad_(y.requires_grad) for y in maps]
        self._cuts += zip(maps, leaves, strict=True)
        return tuple(leaves)

    def see_relayed(self, proposals: list[InstanceData]) -> None:
        """Refuse proposals that belong to the graph of the lead's pass.

        Raises:
            ValueError: they are learned, as those of Sparse R-CNN.
        """
        for value in (v for one in proposals for v in one.values()):
            if isinstance(value, Tensor) and value.requires_grad:
                raise UserValueError(
                    f"{_OPTION} frees the lead's pass before an assistant "
                    f'uses its proposals, but these are learned; use '
                    f"assistance.proposals='own'"
                )

    def end_pass(self, losses: Losses) -> Losses:
        """Compute the gradients of a pass; return numbers without a graph.

        Each loss becomes the mean that mmengine's ``parse_losses`` takes.
        """
        means = {name: _mean(value) for name, value in losses.items()}
        total = sum(
            mean
            for name, mean in means.items()
            if 'loss' in name and isinstance(mean, Tensor)
        )
        cuts = [cut for cut in self._cuts if cut[1].requires_grad]
        self._cuts = []
        if isinstance(total, Tensor) and total.requires_grad:
            inputs = [leaf for _, leaf in cuts] + self._parameters
            found, factor = self._scale.gradients(total, inputs)
            for (given, _), gradient in zip(cuts, found, strict=False):
                if gradient is not None:
                    self._of_maps.append((given, gradient, factor))
            self._add(found[len(cuts) :], factor)
        return {
            name: mean.detach() if isinstance(mean, Tensor) else mean
            for name, mean in means.items()
        }

    def _add(self, gradients: Sequence[Tensor | None], factor: float) -> None:
        for p, gradient in zip(self._parameters, gradients, strict=True):
            if gradient is None:
                continue
            if factor != 1:
                gradient = gradient / factor
            _, before, _ = self._of_parameters.get(id(p), (p, None, 1.0))
            # A gradient may be a view that others share, so it is not
            # written to.
            total = gradient if before is None else before + gradient
            self._of_parameters[id(p)] = p, total, 1.0

    def join(self, losses: Losses) -> Losses:
        """Return the losses of the step, with the gradients behind them."""
        known = [*self._of_maps, *self._of_parameters.values()]
        names = [
            name
            for name, value in losses.items()
            if 'loss' in name and isinstance(value, Tensor)
        ]
        if known and names:
            values = _Known.apply(
                [losses[name] for name in names],
                [known_one[1:] for known_one in known],
                *(known_one[0] for known_one in known),
            )
            losses.update(zip(names, values, strict=True))
        return losses


class _Known(torch.autograd.Function):
    """Losses whose sum has known gradients."""

    @staticmethod
    def forward(
        ctx: Any,
        losses: list[Tensor],
        gradients: list[tuple[Tensor, float]],
        *inputs: Tensor,
    ) -> tuple[Tensor, ...]:
        ctx.gradients = gradients
        return tuple(losses)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        factors = torch.stack(upstream).tolist()
        factor = factors[0]
        # Losses of several types round it differently.
        if any(abs(one - factor) > 1e-5 * abs(factor) for one in factors):
            raise UserValueError(
                f'{_OPTION} has computed the gradients of the sum of all '
                f'losses, but this backward pass multiplies them by '
                f'{sorted(set(factors))}; {_REMEDY}'
            )
        if ctx.gradients is None:
            raise UserValueError(
                f'{_OPTION} keeps its gradients for one backward pass, but '
                f'this is the second one through the same losses; {_REMEDY}'
            )
        # The last reference to each is given up as the next one is made.
        waiting, ctx.gradients = ctx.gradients[::-1], None
        scaled = []
        while waiting:
            gradient, own = waiting.pop()
            if factor != own:
                # A loss scale may be out of the range of float16.
                wide = torch.promote_types(gradient.dtype, torch.float32)
                one = gradient.to(wide) * (factor / own)
                gradient = one.to(gradient.dtype)
            scaled.append(gradient)
        return None, None, *scaled


def _mean(value: Any) -> Any:
    """Take the mean of a loss, as ``parse_losses`` does."""
    if isinstance(value, Tensor) and value.is_floating_point():
        # So that the factors that come back to all losses are the same.
        return value.mean().to(torch.promote_types(value.dtype, torch.float32))
    if value and is_list_of(value, Tensor):
        return sum(map(_mean, value))
    return value


def _refuse_shards(detector: nn.Module) -> None:
    for part in detector.modules():
        if (
            isinstance(part, FullyShardedDataParallel | FSDPModule)
            # What only a wrapper outside of the detector shards.
            or getattr(part, '_is_fsdp_managed_module', False)
        ):
            raise UserTypeError(
                f'{_OPTION} needs whole parameters while the losses are '
                f'computed, but FSDP shards those of '
                f'{type(detector).__name__}; {_REMEDY}, or DDP'
            )


_OPTION = "assistance.backward='per_member'"
_REMEDY = "use assistance.backward='together'"


def choose_backward(
    detector: nn.Module, scale: HeadScale | None
) -> Together | PerMember:
    """Choose when neck and heads run their backward pass in a step.

    Args:
        detector: the detector, at the start of a step.
        scale: None for one pass through all.
    """
    if scale is None or not torch.is_grad_enabled():
        return Together()
    return PerMember(detector, scale)
