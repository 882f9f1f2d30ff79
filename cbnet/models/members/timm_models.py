"""Build timm's models so that they accept images of many sizes."""

from typing import Any

import torch
from torch import nn

from ...arguments import check_foreign, explained
from ...pretrained import create_timm_model

# What makes a model of a fixed size accept others, if its class knows it.
_ANY_SIZE = (dict(dynamic_img_size=True), dict(strict_img_size=False))


def create_model(name: str, arguments: dict[str, Any]) -> nn.Module:
    """Build a model, with any size of images if its class can.

    Args:
        name: timm's name of the model.
        arguments: the arguments of ``timm.create_model``.

    Raises:
        ValueError: there is no such model, an argument does not fit it, or
            an argument makes timm read a file.
    """
    import timm  # late: only some members need it, and it takes long

    check_foreign(name, timm.create_model, arguments, complete=False)
    with explained(f'{name} does not accept its arguments'):
        return _create(name, arguments)


def _create(name: str, arguments: dict[str, Any]) -> nn.Module:
    import timm

    cfg = timm.get_pretrained_cfg(name) if timm.is_model(name) else None
    if cfg is not None and cfg.fixed_input_size:
        state = torch.get_rng_state()
        for more in _ANY_SIZE:
            try:
                return create_timm_model(name, **(more | arguments))
            except TypeError:  # its class does not know this argument
                torch.set_rng_state(state)
    return create_timm_model(name, **arguments)


def native_size(name: str, arguments: dict[str, Any]) -> tuple[int, int]:
    """Tell the (H, W) that a model is built for, in pixels."""
    size = arguments.get('img_size')
    if size is None:
        import timm

        cfg = timm.get_pretrained_cfg(name)
        size = (224, 224) if cfg is None else cfg.input_size[-2:]
    return (size, size) if isinstance(size, int) else tuple(size)
