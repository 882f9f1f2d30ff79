"""Inference of CNNs with folded norms and channels-last convolutions."""

from collections.abc import Callable
from typing import Any

import torch
from mmdet.registry import HOOKS
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from ..arguments import validated
from ..compat.mmengine_internals import built_train_loop, call_on_error
from ..models.folded_norms import fold_norms
from .checked_saving import bare_model
from .guards import add_hook
from .memory_format import ChannelsLastHook


@HOOKS.register_module()
@validated
class FoldedNormsHook(Hook):
    """Fold norms into convolutions during validations and tests.

    The weights are put back after each of them, also if it fails, so
    training, averages and checkpoints do not see the folded ones.
    """

    # Averages of weights are exchanged before an epoch, and back after it.
    priority = 'HIGHEST'

    def __init__(self) -> None:
        self._restore: Callable[[], None] | None = None

    def before_run(self, runner: Runner) -> None:
        """Put the weights back if an evaluation ends a training."""
        if loop := built_train_loop(runner):
            call_on_error(loop, lambda error: self.after_val_epoch(runner))

    def before_val_iter(
        self, runner: Runner, *args: Any, **kwargs: Any
    ) -> None:
        """Fold the norms before the first batch."""
        if self._restore is None:
            self._restore = fold_norms(bare_model(runner))

    def after_val_epoch(
        self, runner: Runner, *args: Any, **kwargs: Any
    ) -> None:
        """Put the weights back."""
        if self._restore is not None:
            self._restore()
            self._restore = None

    before_test_iter, after_test_epoch = before_val_iter, after_val_epoch


def add_fast_inference(cfg: Config) -> None:
    """Add the hooks of fast inference to a config, in place."""
    for hook in (ChannelsLastHook, FoldedNormsHook):
        add_hook(cfg, hook)


def make_fast(model: nn.Module) -> None:
    """Prepare a model for inference only: it is in eval mode from now on.

    Args:
        model: a model with its weights, whose layers get other names.
    """
    model.eval().to(memory_format=torch.channels_last)
    fold_norms(model)
