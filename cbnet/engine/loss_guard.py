"""Stop at a loss that is nan or inf, before it reaches the weights."""

import sys
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import torch
from mmdet.registry import HOOKS
from mmengine.dist import all_gather_object, all_reduce
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from torch import Tensor

from ..arguments import validated
from ..compat.mmengine_internals import call_on_losses
from ..errors import UserError
from .checked_saving import bare_model


class NonFiniteLossError(UserError, FloatingPointError):
    """A loss became nan or inf, so the optimizer did not step."""


@HOOKS.register_module()
@validated
class LossGuardHook(Hook):
    """Check every loss between the forward and the backward pass.

    This works for any detector, in one process or several.  Under mixed
    precision the losses are checked before they are scaled: gradients may
    then be infinite, losses may not.

    The hook reads the sum of the losses, which is finite only if all of them
    are.  That is one number per step from the device; mmengine itself reads
    every loss after the step.  Several processes stop at the same step.
    """

    priority = 'VERY_HIGH'
    batch: Any = None

    def before_train(self, runner: Runner) -> None:
        """Begin to check the model's losses."""
        check = partial(self._check, runner)
        # Whatever has compiled the model has imported the compiler; a
        # decorator would import it for everybody, which takes a second.
        if 'torch._dynamo' in sys.modules:
            check = torch.compiler.disable(check)
        self.leave_model = call_on_losses(bare_model(runner), check)

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Keep the batch, to name its images in an error."""
        self.batch = data_batch

    def after_train(self, runner: Runner) -> None:
        """Leave the model as it was."""
        self.leave_model()
        self.batch = None

    def _check(
        self, runner: Runner, total: Tensor, values: dict[str, Tensor]
    ) -> None:
        bad = ~total.detach().isfinite()
        anywhere = bad.to(torch.uint8)
        all_reduce(anywhere, op='max')
        if not anywhere.item():
            return
        own = _describe(values, self.batch) if bad else ''
        found = '; '.join(filter(None, all_gather_object(own)))
        raise NonFiniteLossError(
            f'iteration {runner.iter + 1}: {found}. Expected finite losses; '
            f'the step was not taken. Look at these images and their '
            f'annotations, lower the learning rate or clip gradients '
            f'(optim_wrapper.clip_grad), then go on with --resume'
        )


def _describe(values: dict[str, Tensor], batch: Any) -> str:
    """Name the losses that are not finite, and the images of the batch."""
    bad = [
        f'{name} is {value.item()}'
        for name, value in values.items()
        if 'loss' in name and name != 'loss' and not value.isfinite()
    ]
    losses = ', '.join(bad or ['the sum of finite losses overflows'])
    images = ', '.join(dict.fromkeys(image_names(batch)))
    return f'{losses}, in the batch of {images or "no images"}'


def image_names(batch: Any) -> Iterator[str]:
    """Yield the paths of the images in a nested batch, or else their ids."""
    if isinstance(batch, BaseDataElement):
        name = batch.get('img_path') or batch.get('img_id')
        if name is not None:
            yield str(name)
    elif isinstance(batch, Mapping | list | tuple):
        parts = batch.values() if isinstance(batch, Mapping) else batch
        for part in parts:
            yield from image_names(part)
