"""Convolutions in channels-last memory format, for speed."""

import torch
from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Lay out the model's 4-d weights as channels last before it runs.

    A convolution whose weight is channels-last computes and returns
    channels-last maps, so the input pipeline stays as it is.  Values and
    checkpoints do not change.
    """

    def before_run(self, runner: Runner) -> None:
        """Convert the weights in place."""
        runner.model.to(memory_format=torch.channels_last)
