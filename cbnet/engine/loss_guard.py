"""Stop at a loss that is nan or inf, before it reaches the weights."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from mmdet.registry import HOOKS
from mmengine.dist import all_gather_object, all_reduce, get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from torch import Tensor

from ..errors import UserError
from .checked_saving import bare_model

Losses = dict[str, Tensor | list[Tensor]]


class NonFiniteLossError(UserError, FloatingPointError):
    """A loss became nan or inf; the step was not taken."""


@HOOKS.register_module()
class LossGuardHook(Hook):
    """Look at every loss between the forward and the backward pass.

    The seam is ``parse_losses``, which every model of mmengine calls, with
    its losses by name, before the optimizer hears of them; so it serves any
    detector, wrapped for several processes or not.  Under mixed precision
    gradients may be infinite, losses may not, and they come here unscaled.

    It looks at the sum, which is finite only if all terms are: one number a
    step read from the device, where mmengine itself reads every loss after
    the step.  With several processes all of them stop at the same step.
    """

    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self.batch: Any = None

    def before_train(self, runner: Runner) -> None:
        """Enter the model's ``parse_losses``."""
        model = bare_model(runner)
        parse = model.parse_losses

        # A function, because a copy of the model shares it, while anything
        # else would be copied with all that it refers to.
        def guarded(losses: Losses) -> tuple[Tensor, dict[str, Tensor]]:
            total, values = parse(losses)
            if isinstance(total, Tensor):  # without any loss it is 0
                self._check(runner, total, values)
            return total, values

        model.parse_losses = guarded

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Keep the batch, to name its images."""
        self.batch = data_batch

    def after_train(self, runner: Runner) -> None:
        """Leave the model as it was."""
        del bare_model(runner).parse_losses
        self.batch = None

    @torch.compiler.disable
    def _check(
        self, runner: Runner, total: Tensor, values: dict[str, Tensor]
    ) -> None:
        bad = ~total.detach().isfinite()
        several = get_world_size() > 1
        anywhere = bad.to(torch.uint8)
        if several:
            all_reduce(anywhere, op='max')
        if not anywhere.item():
            return
        found = _describe(values, self.batch) if bad else ''
        if several:
            found = '; '.join(filter(None, all_gather_object(found)))
        raise NonFiniteLossError(
            f'iteration {runner.iter + 1}: {found}. Expected finite losses; '
            f'the step was not taken. Look at these images and their '
            f'annotations, lower the learning rate or clip gradients '
            f'(optim_wrapper.clip_grad), then go on with --resume'
        )


def _describe(values: dict[str, Tensor], batch: Any) -> str:
    """Say which losses are bad, and of which images."""
    bad = [
        f'{name} is {value.item()}'
        for name, value in values.items()
        if 'loss' in name and name != 'loss' and not value.isfinite()
    ]
    listed = ', '.join(bad or ['the sum of finite losses overflows'])
    images = list(dict.fromkeys(image_names(batch)))
    return f'{listed}, in the batch of {", ".join(images) or "no images"}'


def image_names(batch: Any) -> Iterator[str]:
    """Find the images of a batch, however it is nested.

    Args:
        batch: what a dataloader gave: data samples inside dicts and lists.

    Yields:
        A path, or where there is none the image's id.
    """
    if isinstance(batch, BaseDataElement):
        name = batch.get('img_path') or batch.get('img_id')
        if name is not None:
            yield str(name)
    elif isinstance(batch, Mapping):
        for value in batch.values():
            yield from image_names(value)
    elif isinstance(batch, list | tuple):
        for value in batch:
            yield from image_names(value)
