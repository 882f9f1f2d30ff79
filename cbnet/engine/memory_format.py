"""Convolutions in channels-last memory format, for speed."""

import torch
from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ..arguments import validated


@HOOKS.register_module()
@validated
class ChannelsLastHook(Hook):
    """Lay out the model's 4-d weights as channels last before a run.

    A convolution with a channels-last weight returns channels-last maps, so
    the input pipeline need not change.  Values and checkpoints do not change
    either.
    """

    def before_run(self, runner: Runner) -> None:
        """Convert the weights in place."""
        runner.model.to(memory_format=torch.channels_last)
