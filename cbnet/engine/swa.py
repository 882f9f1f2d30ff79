"""SWA: average the weights at the ends of epochs, from a trained checkpoint.

Method: "SWA Object Detection" (arXiv 2012.12645); see docs/swa.md.
"""

from typing import Any

from mmdet.registry import HOOKS
from mmengine.hooks import EMAHook
from mmengine.runner import EpochBasedTrainLoop, Runner, find_latest_checkpoint
from torch import nn

from ..arguments import validated
from ..compat.mmengine_internals import (
    OverridableEMAHook,
    built_train_loop,
    is_resuming,
    load_source,
)
from ..errors import UserValueError
from .checked_saving import bare_model
from .checkpoint_fit import check_fit


@HOOKS.register_module()
@validated
class SWAHook(OverridableEMAHook):
    """Update mmengine's average once, at the end of each epoch.

    All epochs count the same, and the weights that training starts from do
    not count.  Running statistics are averaged like weights.

    As with mmengine's hook, validation sees the average, and a checkpoint
    holds the average as ``state_dict`` and the trained weights as
    ``ema_state_dict``, so the plain config can load it.  It also holds the
    number of averaged epochs, so that resuming does not average one twice.

    Args:
        device: the device of the average; None is the model's device.
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
        """Create the average, in a run that trains."""
        if built_train_loop(runner) and self.ema_model is None:
            self._check_run(runner)
            super().before_run(runner)

    def _check_run(self, runner: Runner) -> None:
        loop, resumed = built_train_loop(runner), None
        if is_resuming(runner):
            resumed = find_latest_checkpoint(runner.work_dir)
        if not (load_source(runner) or resumed):
            raise UserValueError(
                'SWA starts from a trained checkpoint, and load_from is not '
                'set. Train the plain config first, or download its '
                'published checkpoint, then pass it with --cfg-options '
                'load_from=FILE.pth'
            )
        if not isinstance(loop, EpochBasedTrainLoop):
            raise UserValueError(
                f'SWAHook averages at the ends of epochs, and '
                f'{type(loop).__name__} has none; set train_cfg=dict('
                f"type='EpochBasedTrainLoop', max_epochs=12, val_interval=1)"
            )
        for other in runner.hooks:
            if isinstance(other, EMAHook) and other is not self:
                raise UserValueError(
                    f'SWAHook and {type(other).__name__} would both exchange '
                    f'the weights for their averages; keep only one of them '
                    f'in custom_hooks'
                )

    def after_load_checkpoint(
        self, runner: Runner, checkpoint: dict[str, Any]
    ) -> None:
        """Restore the average of a resumed run; check what a run starts from.

        A run must start from all the weights of the model.
        """
        if self.ema_model is None:
            return
        source = str(load_source(runner) or 'the checkpoint')
        if not is_resuming(runner):
            check_fit(checkpoint, bare_model(runner), source, complete=True)
            return
        epochs = checkpoint.get('meta', {}).get('epoch', 0)
        averaged = checkpoint.get('ema_state_dict', {}).get('steps')
        if averaged is None or int(averaged) - epochs not in (0, 1):
            raise UserValueError(
                f'{source} is not of a run with SWAHook, so it cannot be '
                f'resumed here; --resume goes on with a run that was '
                f'interrupted. To start from its weights, use '
                f'--cfg-options load_from={source} and another --work-dir'
            )
        super().after_load_checkpoint(runner, checkpoint)

    def after_train_iter(self, *args: Any, **kwargs: Any) -> None:
        """Do not update the average within an epoch."""

    def after_train_epoch(self, runner: Runner) -> None:
        """Add the weights at the end of this epoch to the average."""
        if self.ema_model.steps <= runner.epoch:
            self.ema_model.update_parameters(self.src_model)
            _copy_counts(self.src_model, self.ema_model.module)
        runner.logger.info(
            f'SWA: the average now covers the ends of '
            f'{int(self.ema_model.steps)} epochs'
        )

    def before_save_checkpoint(
        self, runner: Runner, checkpoint: dict[str, Any]
    ) -> None:
        """Save the average, or the trained weights if there is none yet."""
        if self.ema_model.steps == 0:
            self.ema_model.module.load_state_dict(self.src_model.state_dict())
        super().before_save_checkpoint(runner, checkpoint)

    def exchange_weights(self) -> None:
        """Exchange the trained weights with the average, in a training run.

        In an evaluation the model was loaded with the average.
        """
        if self.ema_model is not None:
            super().exchange_weights()


def _copy_counts(source: nn.Module, average: nn.Module) -> None:
    """Copy integer buffers, which cannot be averaged."""
    values = source.state_dict()
    for name, value in average.state_dict().items():
        if not value.is_floating_point():
            value.copy_(values[name])
