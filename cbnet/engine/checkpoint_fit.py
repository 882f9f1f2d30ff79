"""Refuse checkpoints that do not fit the model that loads them."""

from collections.abc import Mapping
from typing import Any

from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from ..arguments import validated
from ..checkpoints.fit import compare
from ..checkpoints.local_files import require_checkpoint
from ..checkpoints.weight_files import find_weights
from ..compat.mmengine_internals import is_resuming, load_source
from ..errors import UserValueError
from ..messages import counted, listed
from .checked_saving import bare_model


@HOOKS.register_module()
@validated
class CheckpointFitHook(Hook):
    """Compare the weights of ``load_from`` or a resumed file with the model.

    mmengine only warns of weights that it cannot load, so that a file of
    another architecture leaves a model with random weights.  For
    fine-tuning, some weights must fit (heads for other classes do not); for
    resuming and evaluating, all parameters must.

    Args:
        complete: whether all parameters must fit even if nothing is
            resumed, as for an evaluation.
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
        complete = self.complete or is_resuming(runner)
        check_fit(checkpoint, bare_model(runner), source, complete)


def check_fit(
    file: Mapping[str, Any], model: nn.Module, source: str, complete: bool
) -> None:
    """Refuse weights that do not fit a model.

    Args:
        file: the content of the file, as in ``find_weights``.
        model: the model that is going to load them.
        source: the name of the file, for errors.
        complete: whether all parameters must be there.  A file may hold
            more than the model, but not in its backbone: there, it means
            more members or another style.

    Raises:
        ValueError: names the file, the differences and the remedy.
    """
    weights = find_weights(file, source)
    own = model.state_dict()
    if not compare(weights, own).matching:
        raise UserValueError(
            f'{source} does not fit the model: none of its weights, '
            f'{counted(weights)}, has the name and shape of a weight of the '
            f'model, {counted(own)}; give a checkpoint of the same '
            f'architecture. The file of a backbone belongs in the init_cfg '
            f'of the backbone or member'
        )
    if not complete:
        return
    # In alphabetical order, connections come before members, so that the
    # message shows them.
    parameters = dict(sorted(model.named_parameters()))
    relevant = {
        name: weight
        for name, weight in sorted(weights.items())
        if name in parameters
        or (name.startswith('backbone.') and name not in own)
    }
    if wrong := compare(relevant, parameters).differences():
        hint = ''
        if 'backbone.members.' in wrong or 'backbone.connections.' in wrong:
            hint = ' (the same num_members, style and shared_stages)'
        raise UserValueError(
            f'{source} does not fit the model: {wrong}; use it with the '
            f'config that it was trained with{hint}'
        )
