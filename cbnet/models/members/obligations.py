"""What a hooked member must fulfil, tried when it is built."""

from typing import Any

import torch
from torch import Tensor

from ...errors import UserValueError
from .trace import Trace, probe_image
from .unread import evaluating


def check_obligations(adapter: Any, traced: Trace) -> None:
    """Refuse a member in which an addition does not do what it must.

    Nothing added gives the backbone's own maps, bit for bit.  A map added to
    the input of stage t changes the maps of the stages from t on, and no
    others.

    Args:
        adapter: the member.
        traced: a pass of the backbone without hooks.

    Raises:
        ValueError: an obligation is broken; says which.
    """
    image = probe_image(adapter.net, traced.size)
    with evaluating(adapter.net):
        if not image.is_meta:
            _check_equality(adapter, image, traced.maps)
        _check_order(adapter, image)


@torch.no_grad()
def _check_equality(adapter: Any, image: Tensor, maps: list[Tensor]) -> None:
    run = adapter.run(image, lambda stage, size: None, len(maps))
    for i, y in enumerate(maps):
        if not torch.equal(y, run.outputs[i]):
            raise UserValueError(
                f"with nothing added, map {i} differs from the backbone's own"
            )


@torch.enable_grad()
def _check_order(adapter: Any, image: Tensor) -> None:
    """See in the graph of each map which stage inputs it depends on."""
    stages = range(len(adapter.specs))
    zeros: dict[int, Tensor] = {}

    def add(stage: int, size: tuple[int, int]) -> Tensor:
        shape = (1, adapter.specs[stage].in_channels, *size)
        zeros[stage] = torch.zeros(shape).to(image).requires_grad_()
        return zeros[stage]

    run = adapter.run(image, add, len(stages))
    for i in stages:
        grads = torch.autograd.grad(
            run.outputs[i].sum(),
            [zeros[t] for t in stages],
            retain_graph=True,
            allow_unused=True,
        )
        for t, grad in enumerate(grads):
            if (grad is not None) != (i >= t):
                does = 'does not change' if grad is None else 'changes'
                raise UserValueError(
                    f'a map added to the input of stage {t} {does} map {i}, '
                    f'so its stages do not follow each other'
                )
