"""Fit a config's precision to the device that trains it."""

from mmengine import device as devices
from mmengine.config import Config

from ..errors import UserValueError

_FLOAT16_DEVICES = ('cuda', 'npu', 'mlu', 'musa')
# What AmpOptimWrapper takes and the other wrappers do not.
_AMP_ONLY = ('loss_scale', 'dtype', 'use_fsdp')


def fit_precision(cfg: Config, wanted: bool = False) -> list[str]:
    """Exchange the optimizer wrapper for one that this device can run.

    On a GPU a config's ``AmpOptimWrapper`` is float16, or its ``dtype``; on
    a CPU, where mmengine has none, it becomes ``CpuAmpOptimWrapper``, which
    is bfloat16; elsewhere the run is in float32.

    Args:
        cfg: the config, changed in place.
        wanted: whether mixed precision is asked for (``--amp``), and not
            only what the config may have.

    Returns:
        Lines for people, none where the config's word holds.

    Raises:
        ValueError: mixed precision is asked for, and the config has no
            wrapper that it could replace, or mmengine none for this device.
    """
    wrapper = cfg.get('optim_wrapper')
    if wanted and not wrapper:
        raise UserValueError(
            '--amp needs optim_wrapper in the config, which has none'
        )
    found = (wrapper or {}).get('type', 'OptimWrapper')
    if wanted and found not in (
        'OptimWrapper',
        'AmpOptimWrapper',
        'CpuAmpOptimWrapper',
    ):
        raise UserValueError(
            f'--amp replaces OptimWrapper, but the config has {found}; '
            'choose its precision in the config'
        )
    device = devices.get_device()
    if device in _FLOAT16_DEVICES:
        if wanted:
            wrapper.setdefault('loss_scale', 'dynamic')
            wrapper.type = 'AmpOptimWrapper'
        return []
    if wanted and device != 'cpu':
        raise UserValueError(
            f'--amp: mmengine has no mixed precision on {device}'
        )
    if not wanted and found != 'AmpOptimWrapper':
        return []
    for key in _AMP_ONLY:
        wrapper.pop(key, None)
    if device == 'cpu':
        wrapper.type, precision = 'CpuAmpOptimWrapper', 'mixed, bfloat16'
    else:
        wrapper.type, precision = 'OptimWrapper', 'float32'
    return [f'precision: {precision} on {device} (the config has {found})']
