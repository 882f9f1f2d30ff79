"""Create timm's models, which read no file but timm's own weights."""

from contextlib import nullcontext
from typing import Any

import timm
from torch import nn

from ..compat.safe_loading import safe_reading
from ..errors import UserValueError
from ..messages import brief

# Besides these, everything that begins with `pretrained_`.
_FILE_OPTIONS = ('checkpoint_path', 'cache_dir')


def create_timm_model(name: str, **options: Any) -> nn.Module:
    """Create a model with ``timm.create_model``.

    Args:
        name: timm's name of the model.  timm would also take models from
            addresses (``hf-hub:``) and folders (``local-dir:``).
        options: further arguments, but none that name a file or an address.

    Raises:
        ValueError: there is no such model, or timm is given a file to read.
        UnsafeCheckpointError: the file with timm's own weights asks for
            something other than data.
        BrokenCheckpointError: that file cannot be read to its end.
    """
    if not isinstance(name, str) or not timm.is_model(name):
        raise UserValueError(
            f'model_name={name!r} is not a timm model; timm.list_models() '
            f'lists the models'
        )
    for key, value in options.items():
        if key in _FILE_OPTIONS or key.startswith('pretrained_'):
            raise UserValueError(
                f'{key}={brief(value)} is not accepted, because timm would '
                f'read files by itself, perhaps unsafely; name the weights in '
                f"init_cfg=dict(type='Pretrained', checkpoint=...)"
            )
    source = f'timm://{name}'
    reading = safe_reading(source) if options.get('pretrained') else None
    with reading or nullcontext():
        return timm.create_model(name, **options)
