"""SWA: average the weights of epoch ends, from a trained checkpoint on.

Method: "SWA Object Detection" (arXiv 2012.12645); see docs/swa.md.
"""

from typing import Any

from mmdet.registry import HOOKS
from mmengine.hooks import EMAHook
from mmengine.runner import (
    BaseLoop,
    EpochBasedTrainLoop,
    Runner,
    find_latest_checkpoint,
)
from torch import nn

from ..errors import UserValueError
from .checked_saving import bare_model
from .checkpoint_fit import check_fit


@HOOKS.register_module()
class SWAHook(EMAHook):
    """mmengine's averaging hook, with one update at the end of each epoch.

    The first epoch's weights begin the average, each later epoch's count as
    much; the weights that training starts from do not.  Running statistics
    are averaged in the same way.  As in mmengine, validation sees the
    average, and a checkpoint holds it as ``state_dict`` (the trained weights
    are in ``ema_state_dict``), so that the file is one of the plain model.

    As many weights are in the average as epochs are over: that tells whether
    an epoch that a resumed run completes again is in it already.

    Args:
        device: where the average lies; None: where the model does.
    """

    def __init__(self, device: str | None = None) -> None:
        super().__init__(
            'StochasticWeightAverage',
            strict_load=True,
            update_buffers=True,
            device=device,
        )
        self.ema_model = None

    def before_run(self, runner: Runner) -> None:
        """Make room for the average, in a run that trains.

        Raises:
            ValueError: nothing to start from, a loop without epochs, or a
                second hook that averages.
        """
        training = isinstance(runner._train_loop, BaseLoop)
        if training and self.ema_model is None:
            _require_start(runner)
            _require_epochs(runner, self)
            super().before_run(runner)

    def after_load_checkpoint(
        self, runner: Runner, checkpoint: dict[str, Any]
    ) -> None:
        """Take up the average of a resumed run.

        Raises:
            ValueError: the file is of another kind of run, or does not hold
                all weights to start from.
        """
        if self.ema_model is None:
            return
        source = str(runner._load_from or 'the checkpoint')
        if not runner._resume:
            check_fit(checkpoint, bare_model(runner), source, complete=True)
            return
        epochs = checkpoint.get('meta', {}).get('epoch', 0)
        averaged = checkpoint.get('ema_state_dict', {}).get('steps')
        if averaged is None or int(averaged) - epochs not in (0, 1):
            raise UserValueError(
                f'{source} is of another run, not of one with SWAHook, so '
                f'it cannot be resumed here; --resume goes on with a run '
                f'that was interrupted. Start from its weights with '
                f'--cfg-options load_from={source}, in another --work-dir'
            )
        super().after_load_checkpoint(runner, checkpoint)

    def after_train_iter(self, *args: Any, **kwargs: Any) -> None:
        """Leave the average alone within an epoch."""

    def after_train_epoch(self, runner: Runner) -> None:
        """Take the weights of this epoch's end into the average."""
        if self.ema_model.steps <= runner.epoch:
            self.ema_model.update_parameters(self.src_model)
            _copy_counts(self.src_model, self.ema_model.module)
        runner.logger.info(
            f'SWA: average of the weights of {int(self.ema_model.steps)} '
            f'epoch ends'
        )

    def before_save_checkpoint(
        self, runner: Runner, checkpoint: dict[str, Any]
    ) -> None:
        """Save the average; before the first epoch's end, what is trained."""
        if self.ema_model.steps == 0:
            self.ema_model.module.load_state_dict(self.src_model.state_dict())
        super().before_save_checkpoint(runner, checkpoint)

    def _swap_ema_parameters(self) -> None:
        # In an evaluation the file's weights are the average already.
        if self.ema_model is not None:
            super()._swap_ema_parameters()


def _copy_counts(source: nn.Module, average: nn.Module) -> None:
    """Copy what is no number to average: integer buffers."""
    values = source.state_dict()
    for name, value in average.state_dict().items():
        if not value.is_floating_point():
            value.copy_(values[name])


def _require_start(runner: Runner) -> None:
    found = runner._load_from
    if not found and runner._resume:
        found = find_latest_checkpoint(runner.work_dir)
    if not found:
        raise UserValueError(
            'SWA starts from a trained checkpoint, and load_from is not '
            'set: train the plain config first, or take its published '
            'file, then give it with --cfg-options load_from=FILE.pth'
        )


def _require_epochs(runner: Runner, hook: SWAHook) -> None:
    loop = runner._train_loop
    if not isinstance(loop, EpochBasedTrainLoop):
        raise UserValueError(
            f'SWAHook averages at the ends of epochs, and '
            f'{type(loop).__name__} has none; set train_cfg=dict('
            f"type='EpochBasedTrainLoop', max_epochs=12, val_interval=1)"
        )
    for other in runner.hooks:
        if isinstance(other, EMAHook) and other is not hook:
            raise UserValueError(
                f'SWAHook and {type(other).__name__} would both exchange '
                f'the weights for their averages; keep one of them in '
                f'custom_hooks'
            )
