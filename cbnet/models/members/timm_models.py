"""Build timm's models so that they accept images of many sizes."""

from typing import Any

import timm
import torch
from torch import nn

from ...errors import UserValueError

# timm reads the files that these name, some versions of it unsafely.
_FILE_ARGUMENTS = (
    'checkpoint_path',
    'pretrained_cfg',
    'pretrained_cfg_overlay',
)
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
    if not isinstance(name, str) or not timm.is_model(name):
        raise UserValueError(
            f'model_name={name!r} is not a timm model; timm.list_models() '
            f'lists the models'
        )
    for key in _FILE_ARGUMENTS:
        if key in arguments:
            raise UserValueError(
                f'{key}={arguments[key]!r} is not an argument of '
                f'TimmBackbone, because timm would read the file itself, '
                f'perhaps unsafely; name the weights in '
                f"init_cfg=dict(type='Pretrained', checkpoint=...)"
            )
    cfg = timm.get_pretrained_cfg(name)
    if cfg is not None and cfg.fixed_input_size:
        state = torch.get_rng_state()
        for more in _ANY_SIZE:
            try:
                return timm.create_model(name, **(more | arguments))
            except TypeError:  # its class does not know this argument
                torch.set_rng_state(state)
    return timm.create_model(name, **arguments)


def native_size(name: str, arguments: dict[str, Any]) -> tuple[int, int]:
    """Tell the (H, W) that a model is built for, in pixels."""
    size = arguments.get('img_size')
    if size is None:
        cfg = timm.get_pretrained_cfg(name)
        size = (224, 224) if cfg is None else cfg.input_size[-2:]
    return (size, size) if isinstance(size, int) else tuple(size)


def describe_licence(name: str) -> str:
    """Say where timm's weights of a model come from, and under what licence.

    Returns:
        A part of a sentence, empty if timm does not know the licence.
    """
    cfg = timm.get_pretrained_cfg(name)
    if cfg is None or not cfg.license:
        return ''
    source = cfg.hf_hub_id or cfg.origin_url or cfg.url or name
    return f"licence of timm's weights ({source}): {cfg.license}"
