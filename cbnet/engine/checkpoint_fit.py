"""Refuse checkpoints that do not fit the model that loads them."""

import logging
import re
from collections.abc import Mapping
from numbers import Integral
from typing import Any

from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import nn

from ..arguments import validated
from ..checkpoints.fit import compare
from ..checkpoints.local_files import require_checkpoint
from ..checkpoints.report import LoadReport, account
from ..checkpoints.weight_files import find_weights, warn_of_changes
from ..compat.mmengine_internals import (
    built_train_loop,
    is_resuming,
    load_source,
)
from ..errors import UserValueError
from ..messages import counted, listed
from ..models.backbones.frozen import expected_weights
from .checked_saving import bare_model
from .resumed_rate import kept_settings

# Without its statistics, a norm computes something else.
_STATISTICS = re.compile(r'(^|\.)running_(mean|var)$')


@HOOKS.register_module()
@validated
class CheckpointFitHook(Hook):
    """Compare the weights of ``load_from`` or a resumed file with the model.

    mmengine only warns of weights that it cannot load, so that a file of
    another architecture leaves a model with random weights.  For
    fine-tuning, some weights must fit (heads for other classes do not); for
    resuming and evaluating, all parameters and statistics must.  Where every
    weight went is one line in the log.

    Args:
        complete: whether all parameters and statistics must fit even if
            nothing is resumed, as for an evaluation.
    """

    def __init__(self, complete: bool = False) -> None:
        self.complete = complete

    def before_run(self, runner: Runner) -> None:
        """Refuse a local file that is missing or cut short."""
        if load_source(runner):
            require_checkpoint(load_source(runner), 'load_from')

    def after_load_checkpoint(
        self, runner: Runner, checkpoint: dict[str, Any]
    ) -> None:
        """Refuse weights that do not fit, before any are loaded.

        Raises:
            ValueError: names the file, the differences and the remedy.
        """
        source = str(load_source(runner) or 'the checkpoint')
        if is_resuming(runner) and not {'meta', 'message_hub'} <= set(
            checkpoint
        ):
            raise UserValueError(
                f'{source} cannot be resumed: it holds '
                f'{listed(checkpoint, 3)}, but not the state of a training '
                f'run; start from its weights with --cfg-options '
                f'load_from={source}'
            )
        if is_resuming(runner):
            _require_schedules(checkpoint.get('param_schedulers'), source)
            _require_steps_left(checkpoint['meta'], runner, source)
            if kept := kept_settings(runner, checkpoint):
                print_log(kept, 'current', logging.WARNING)
        complete = self.complete or is_resuming(runner)
        check_fit(checkpoint, bare_model(runner), source, complete).log()
        warn_of_changes(checkpoint, source)


def _require_schedules(states: Any, source: str) -> None:
    """Refuse schedules without their step, which would begin again."""
    if isinstance(states, Mapping):  # of several optimizers
        states = [state for several in states.values() for state in several]
    for state in states or ():
        step = state.get('last_step') if isinstance(state, Mapping) else None
        if not isinstance(step, Integral):
            raise UserValueError(
                f'{source} cannot be resumed: a schedule in its '
                f'param_schedulers does not tell its step; start from its '
                f'weights with --cfg-options load_from={source}'
            )


def _require_steps_left(
    meta: Mapping[str, Any], runner: Runner, source: str
) -> None:
    """Refuse to resume what was trained for longer than this run trains.

    mmengine would load and skip every batch of an iteration that the file
    names, however large its number is.
    """
    loop = built_train_loop(runner)
    by_epoch = isinstance(loop, EpochBasedTrainLoop)
    key, most = ('epoch', 'max_epochs') if by_epoch else ('iter', 'max_iters')
    done, limit = meta.get(key), getattr(loop, most, None)
    if done is None or (limit is not None and done > limit):
        raise UserValueError(
            f'{source} cannot be resumed: its meta.{key} is {done}, and '
            f'train_cfg.{most} of this run is {limit}; set a larger {most}, '
            f'or start from the weights with --cfg-options load_from={source}'
        )


def check_fit(
    file: Mapping[str, Any], model: nn.Module, source: str, complete: bool
) -> LoadReport:
    """Refuse weights that do not fit a model; account for those that do.

    Args:
        file: the content of the file, as in ``find_weights``.
        model: the model that is going to load them.
        source: the name of the file, for errors.
        complete: whether all parameters and the statistics of all norms
            must be there.  A file may hold more than the model, but not in
            its backbone: there, it means more members or another style.

    Returns:
        The account of all weights of the file and of the model.

    Raises:
        ValueError: names the file, the differences and the remedy.
    """
    weights = find_weights(file, source)
    own = expected_weights(model, weights)
    if not compare(weights, own).matching:
        raise UserValueError(
            f'{source} does not fit the model: none of its weights, '
            f'{counted(weights)}, has the name and shape of a weight of the '
            f'model, {counted(own)}; give a checkpoint of the same '
            f'architecture. The file of a backbone belongs in the init_cfg '
            f'of the backbone or member'
        )
    if not complete:
        return account(weights, own, source)
    parameters = dict(model.named_parameters())
    # In alphabetical order, connections come before members, so that the
    # message shows them.
    needed = {
        name: own[name]
        for name in sorted(own)
        if name in weights or name in parameters or _STATISTICS.search(name)
    }
    relevant = {
        name: weight
        for name, weight in sorted(weights.items())
        if name in own or name.startswith('backbone.')
    }
    if wrong := compare(relevant, needed).differences():
        hint = ''
        if 'backbone.members.' in wrong or 'backbone.connections.' in wrong:
            hint = ' (the same num_members, style and shared_stages)'
        raise UserValueError(
            f'{source} does not fit the model: {wrong}; use it with the '
            f'config that it was trained with{hint}'
        )
    return account(weights, own, source)
