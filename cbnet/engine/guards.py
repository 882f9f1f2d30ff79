"""Put the guards of a run into its config; see docs/training_safety.md."""

from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.hooks import CheckpointHook

from ..datasets.checked_images import use_checked_loader
from .checked_saving import SafeCheckpointHook
from .checkpoint_fit import CheckpointFitHook
from .loss_guard import LossGuardHook
from .safe_stop import SafeStopHook

_PLAIN = ('CheckpointHook', 'mmengine.CheckpointHook', CheckpointHook)


def add_guards(cfg: Config, training: bool = True) -> None:
    """Add to a config what keeps a run's work safe and its errors clear.

    What the config already has stays as it is, its own classes too; a hook
    that it sets to None stays away.

    Args:
        cfg: any mmdet config, changed in place.
        training: False for an evaluation: images and the checkpoint alone.
    """
    use_checked_loader()
    if not training:
        _add_hook(cfg, CheckpointFitHook, complete=True)
        return
    if cfg.get('default_hooks') is None:
        cfg.default_hooks = ConfigDict()
    hooks = cfg.default_hooks  # the config holds a copy of what it is given
    hooks.setdefault('checkpoint', ConfigDict(type='CheckpointHook'))
    for hook in [hooks.checkpoint, *(cfg.get('custom_hooks') or [])]:
        if isinstance(hook, dict) and hook.get('type') in _PLAIN:
            hook['type'] = SafeCheckpointHook.__name__
    _add_hook(cfg, CheckpointFitHook)
    _add_hook(cfg, LossGuardHook)
    _add_hook(cfg, SafeStopHook)


def _add_hook(cfg: Config, hook: type, **options: Any) -> None:
    present = list(cfg.get('custom_hooks') or [])
    types = [h.get('type') for h in present if isinstance(h, dict)]
    if hook not in types and hook.__name__ not in types:
        present.append(ConfigDict(type=hook.__name__, **options))
        cfg.custom_hooks = present
