"""Load weights strictly into a config's model, or list all that differs."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..errors import UserValueError
from ..messages import listed


def fit_strictly(
    weights: Mapping[str, Tensor],
    model: nn.Module,
    config: str,
    prefix: str = '',
    optional: str | None = None,
) -> dict[str, Tensor]:
    """Load weights into a model; every name and shape must be the model's.

    Args:
        weights: our names to tensors.
        model: as the config builds it, on the meta device; it takes the
            tensors themselves.
        config: how errors call the config.
        prefix: what the names have before the model's own.
        optional: names with this prefix may be missing.

    Returns:
        The same weights in the model's order and data types.

    Raises:
        ValueError: lists unknown names, missing ones and other shapes.
    """
    own = {prefix + name: t for name, t in model.state_dict().items()}
    if optional is not None:
        own = {
            name: t
            for name, t in own.items()
            if name in weights or not name.startswith(optional)
        }
    unknown = [name for name in weights if name not in own]
    missing = [name for name in own if name not in weights]
    shapes = [
        f'{name} {tuple(weights[name].shape)} instead of {tuple(t.shape)}'
        for name, t in own.items()
        if name in weights and weights[name].shape != t.shape
    ]
    wrong = [
        f'{len(names)} {what}: {listed(names, 20)}'
        for what, names in (
            ('unknown', unknown),
            ('missing', missing),
            ('of other shapes', shapes),
        )
        if names
    ]
    if wrong:
        raise UserValueError(
            f'the weights do not fit {config}: {"; ".join(wrong)}. Give the '
            f'config of this very model (its backbone, heads and classes) '
            f'by --config'
        )
    fitted = {n: _as_type(weights[n], t.dtype) for n, t in own.items()}
    model.load_state_dict(
        {name.removeprefix(prefix): t for name, t in fitted.items()},
        strict=optional is None,
        assign=True,
    )
    return fitted


def _as_type(value: Tensor, dtype: torch.dtype) -> Tensor:
    """Give the model's type; averaged counters and indices are floats."""
    if value.is_floating_point() and not dtype.is_floating_point:
        value = value.round()
    return value.to(dtype)
