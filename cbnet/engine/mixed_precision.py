"""Mixed precision: on a CPU, and as each device can run it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmdet.registry import OPTIM_WRAPPERS
from mmengine import device as devices
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from torch import nn

from ..arguments import validated
from ..errors import UserValueError
from ..type_names import type_name

_FLOAT16_DEVICES = ('cuda', 'npu', 'mlu', 'musa')
_REPLACEABLE = ('OptimWrapper', 'AmpOptimWrapper', 'CpuAmpOptimWrapper')
# Options of AmpOptimWrapper that the other wrappers refuse.
_AMP_ONLY = ('loss_scale', 'dtype', 'use_fsdp')


@OPTIM_WRAPPERS.register_module()
@validated
class CpuAmpOptimWrapper(OptimWrapper):
    """Run the training step under bfloat16 autocast on the CPU.

    mmengine's ``AmpOptimWrapper`` refuses a CPU.  bfloat16 has the range of
    float32, so no loss is scaled, and checkpoints can be exchanged with
    those of ``OptimWrapper``.

    bfloat16 has 8 significant bits.  mmdet computes anchors in the type of
    the scores, so proposals are rounded to 2 pixels from coordinate 256 on
    and to 8 pixels from 1024 on.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Compute the model's losses in mixed precision."""
        bfloat16 = torch.autocast('cpu', dtype=torch.bfloat16)
        with super().optim_context(model), bfloat16:
            yield


def choose_precision(cfg: Config, wanted: bool = False) -> list[str]:
    """Replace the optimizer wrapper by one that the device can run.

    ``AmpOptimWrapper`` stays on a GPU (float16, or its ``dtype``), becomes
    ``CpuAmpOptimWrapper`` (bfloat16) on a CPU, where mmengine has none, and
    ``OptimWrapper`` (float32) on other devices.

    Args:
        cfg: the config, changed in place.
        wanted: whether the user asks for mixed precision (``--amp``), even
            if the config does not.

    Returns:
        Lines that tell the user what was changed.

    Raises:
        ValueError: if mixed precision is wanted and impossible.
    """
    wrapper = cfg.get('optim_wrapper')
    found = type_name(wrapper or {}, 'OptimWrapper')
    device = devices.get_device()
    if wanted:
        want_mixed_precision(cfg)
        if device not in (*_FLOAT16_DEVICES, 'cpu'):
            raise UserValueError(
                f'--amp: mmengine has no mixed precision on {device}'
            )
    elif found != 'AmpOptimWrapper':
        return []
    if device in _FLOAT16_DEVICES:
        return []
    for key in _AMP_ONLY:
        wrapper.pop(key, None)
    if device == 'cpu':
        wrapper.type, precision = 'CpuAmpOptimWrapper', 'mixed, bfloat16'
    else:
        wrapper.type, precision = 'OptimWrapper', 'float32'
    return [f'precision: {precision} on {device} (the config has {found})']


def want_mixed_precision(cfg: Config) -> None:
    """Replace the optimizer wrapper by ``AmpOptimWrapper``.

    ``choose_precision`` then makes of it what a device can run.

    Args:
        cfg: the config, changed in place.

    Raises:
        ValueError: if there is no optimizer wrapper, or one that has a
            precision of its own.
    """
    wrapper = cfg.get('optim_wrapper')
    if not wrapper:
        raise UserValueError('--amp needs optim_wrapper in the config')
    found = type_name(wrapper, 'OptimWrapper')
    if found not in _REPLACEABLE:
        raise UserValueError(
            f'--amp replaces OptimWrapper, but the config has {found}; '
            'choose its precision in the config'
        )
    wrapper.setdefault('loss_scale', 'dynamic')
    wrapper.type = 'AmpOptimWrapper'
