"""Refuse a checkpoint that is of another model than the one it is for."""

import re
from collections.abc import Iterable
from typing import Any

from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from ..checkpoints.local_files import require_checkpoint
from ..compat.mmengine_internals import is_resuming, load_source
from ..errors import UserValueError
from ..messages import listed
from .checked_saving import bare_model


@HOOKS.register_module()
class CheckpointFitHook(Hook):
    """Compare what ``load_from`` or a resumed file holds with the model.

    mmengine loads what fits and warns of the rest, so that a file of another
    architecture leaves a model of random weights.  For fine-tuning some of
    it must fit (heads of other classes do not); for resuming and evaluating
    every weight must be there, in its shape.

    Args:
        complete: whether every weight must be there even if nothing is
            resumed, as for an evaluation.
    """

    def __init__(self, complete: bool = False) -> None:
        self.complete = complete

    def before_run(self, runner: Runner) -> None:
        """Refuse a local file that is not there or cut short."""
        source = load_source(runner)
        if source:
            require_checkpoint(source, 'load_from')

    def after_load_checkpoint(
        self, runner: Runner, checkpoint: dict[str, Any]
    ) -> None:
        """Refuse what does not fit, before anything is loaded.

        Raises:
            ValueError: names the file, what differs and what to do.
        """
        source = load_source(runner) or 'the checkpoint'
        resuming = is_resuming(runner)
        if resuming and not {'meta', 'message_hub'} <= set(checkpoint):
            raise UserValueError(
                f'{source} cannot be resumed: it holds '
                f'{", ".join(list(map(str, checkpoint))[:3])}, but no state '
                f'of a training; start from its weights with --cfg-options '
                f'load_from={source}'
            )
        check_fit(
            checkpoint.get('state_dict', checkpoint),
            bare_model(runner).state_dict(),
            {name for name, _ in bare_model(runner).named_parameters()},
            str(source),
            self.complete or resuming,
        )


def check_fit(
    found: dict[str, Any],
    own: dict[str, Tensor],
    parameters: set[str],
    source: str,
    complete: bool,
) -> None:
    """Compare a file's weights with a model's.

    Args:
        found: name to tensor, as in the file.
        own: the model's state dict.
        parameters: those names of ``own`` that are trained.
        source: how errors call the file.
        complete: whether all of ``parameters`` must be there.

    Raises:
        ValueError: names the file, what differs and what to do.
    """
    shapes = {
        re.sub(r'^module\.', '', str(name)): tuple(value.shape)
        for name, value in found.items()
        if isinstance(value, Tensor)
    }
    same = {n for n in own if shapes.get(n) == tuple(own[n].shape)}
    if not same:
        raise UserValueError(
            f'{source} does not fit the model: of its '
            f'{_weights(shapes)} none has name and shape of one of the '
            f'{_weights(own)} of the model; '
            f'give a checkpoint of the same architecture; the file of a '
            f'backbone alone belongs into init_cfg of the backbone or member'
        )
    if not complete:
        return
    differ = [
        f'{name}: file {shapes[name]}, model {tuple(own[name].shape)}'
        for name in sorted(parameters & set(shapes))
        if name not in same
    ]
    missing = sorted(parameters - set(shapes))
    # What a file holds besides is no mistake, but in the backbone it is:
    # more members, or another style.
    foreign = sorted(
        name for name in set(shapes) - set(own) if name.startswith('backbone.')
    )
    wrong = []
    if differ:
        wrong.append(f'other shapes: {_weights(differ)}')
    if missing:
        wrong.append(f'missing: {_weights(missing)}')
    if foreign:
        wrong.append(f'its backbone has more: {_weights(foreign)}')
    if wrong:
        raise UserValueError(
            f'{source} does not fit the model: {"; ".join(wrong)}; use it '
            f'with the config that it was trained with'
        )


def _weights(names: Iterable[str]) -> str:
    names = list(names)
    return f'{len(names)} weights ({listed(names, 3)})'
