"""Add the guards of a run to its config; see docs/training_safety.md."""

from typing import Annotated, Any

from annotated_types import Ge
from mmengine.config import Config, ConfigDict
from mmengine.hooks import CheckpointHook

from ..arguments import check_value
from ..datasets.checked_images import use_checked_loader
from ..datasets.checked_pipelines import use_checked_pipelines
from ..evaluation.coco_metric import use_checked_metric
from .checked_saving import SafeCheckpointHook
from .checkpoint_fit import CheckpointFitHook
from .gradient_guard import GradientGuardHook
from .loss_guard import LossGuardHook
from .safe_stop import SafeStopHook
from .verification import VerificationHook

#: whole numbers of the training loop, and their least values
_LOOP = dict(max_iters=0, max_epochs=0, val_begin=0, val_interval=1)
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
    for name, least in _LOOP.items():
        if name in (cfg.get('train_cfg') or {}):
            number = Annotated[int, Ge(least)]
            check_value(f'train_cfg.{name}', number, cfg.train_cfg[name])
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
    types = [h.get('type') for h in present if isinstance(h, dict)]
    if hook not in types and hook.__name__ not in types:
        present.append(ConfigDict(type=hook.__name__, **options))
        cfg.custom_hooks = present
