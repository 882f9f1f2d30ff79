"""Add the guards of a run to its config; see docs/training_safety.md."""

from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.hooks import CheckpointHook

from ..datasets.checked_images import use_checked_loader
from ..datasets.checked_pipelines import use_checked_pipelines
from ..evaluation.coco_metric import use_checked_metric
from ..type_names import type_name
from .checked_saving import SafeCheckpointHook
from .checkpoint_fit import CheckpointFitHook
from .gradient_guard import GradientGuardHook
from .loss_guard import LossGuardHook
from .run_settings import check_training
from .safe_stop import SafeStopHook
from .verification import VerificationHook

_PLAIN = ('CheckpointHook', 'mmengine.CheckpointHook', CheckpointHook)


def add_guards(
    cfg: Config, training: bool = True, verify: bool = False
) -> None:
    """Add the hooks that keep a run's work safe and its errors clear.

    The hooks of the config are kept, and a default hook that it sets to None
    is not added.

    Args:
        cfg: any mmdet config, changed in place.
        training: whether the run trains; an evaluation only checks its
            images and its checkpoint.
        verify: whether the run verifies the fingerprint of the file that it
            loads.
    """
    use_checked_loader()
    use_checked_pipelines()
    use_checked_metric()
    if training:
        _guard_training(cfg)
    else:
        add_hook(cfg, CheckpointFitHook, complete=True)
    if verify:
        add_hook(cfg, VerificationHook)


def _guard_training(cfg: Config) -> None:
    check_training(cfg)
    if cfg.get('default_hooks') is None:
        cfg.default_hooks = ConfigDict()
    hooks = cfg.default_hooks  # read again: assigning to a config copies
    hooks.setdefault('checkpoint', ConfigDict(type='CheckpointHook'))
    for hook in [hooks.checkpoint, *(cfg.get('custom_hooks') or [])]:
        if isinstance(hook, dict) and hook.get('type') in _PLAIN:
            hook['type'] = SafeCheckpointHook.__name__
    for hook in (
        CheckpointFitHook,
        LossGuardHook,
        GradientGuardHook,
        SafeStopHook,
    ):
        add_hook(cfg, hook)


def add_hook(cfg: Config, hook: type, **options: Any) -> None:
    """Add a custom hook to a config, unless it has one of this type."""
    present = list(cfg.get('custom_hooks') or [])
    names = [type_name(h) for h in present if isinstance(h, dict)]
    if hook.__name__ not in names:
        present.append(ConfigDict(type=hook.__name__, **options))
        cfg.custom_hooks = present
