"""When training stops with an error, save what was trained until then."""

from typing import Any

from mmdet.registry import HOOKS
from mmengine.dist import barrier, is_main_process
from mmengine.hooks import EMAHook, Hook
from mmengine.model import MMDistributedDataParallel, is_model_wrapper
from mmengine.optim import OptimWrapperDict
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import Tensor

from ..arguments import validated
from ..atomic_files import FileNotSavedError
from ..compat.mmengine_internals import (
    built_train_loop,
    call_on_error,
    is_resuming,
    save_on_this_process,
    skip_batches,
)
from ..errors import UserError
from .checked_saving import (
    WHOLE,
    SpoiledWeightsError,
    bare_model,
    name_newest,
    refuse_spoiled_weights,
)
from .loss_guard import NonFiniteLossError

#: the errors that say why nothing can be saved
_NOT_SAVED = (FileNotSavedError, SpoiledWeightsError)


@HOOKS.register_module()
@validated
class SafeStopHook(Hook):
    """Save a checkpoint of the last complete iteration when training fails.

    Until the optimizer steps, the weights are those of the last complete
    iteration.  An unreadable image, a loss that is not finite and too little
    memory in the forward or backward pass all come before the step.  The
    running statistics, which the failed forward pass changed, are restored.

    The checkpoint is ``stopped_iter_<n>.pth`` in the work dir, where
    ``--resume`` finds it.  A loop of epochs then continues inside the epoch:
    the batches that were trained are loaded and skipped, as mmengine does in
    a loop of iterations.
    """

    priority = 'LOWEST'  # an iteration is complete after all other hooks

    def __init__(self) -> None:
        self.statistics: list[tuple[Tensor, Tensor]] = []
        #: why the model's state cannot be saved now
        self.obstacle: str | None = None
        self.trained = False
        self.batches_done = self.batches_to_skip = 0

    def before_run(self, runner: Runner) -> None:
        """Watch the training loop, in a run that trains."""
        loop = built_train_loop(runner)
        if loop:
            call_on_error(loop, lambda error: self._stop(runner, error))

    def after_load_checkpoint(
        self, runner: Runner, checkpoint: dict[str, Any]
    ) -> None:
        """Read how far into its epoch the checkpoint is."""
        if is_resuming(runner):
            meta = checkpoint.get('meta') or {}
            self.batches_to_skip = meta.get('batches_done', 0)

    def before_train(self, runner: Runner) -> None:
        """Watch the optimizers' steps; skip the batches that were trained."""
        if not isinstance(runner, Runner):
            return
        found = runner.optim_wrapper
        several = isinstance(found, OptimWrapperDict)
        for wrapper in found.values() if several else [found]:
            wrapper.optimizer.register_step_pre_hook(self._note_step)
        loop = runner.train_loop
        if self.batches_to_skip and isinstance(loop, EpochBasedTrainLoop):
            runner.logger.info(
                f'epoch {runner.epoch + 1} continues after its first '
                f'{self.batches_to_skip} batches'
            )
            skip_batches(loop, self.batches_to_skip)

    def _note_step(self, *_: Any) -> None:
        self.obstacle = 'the optimizer was inside a step'

    def before_train_iter(self, runner: Runner, **_: Any) -> None:
        """Copy the buffers that the forward pass will change."""
        self.statistics = [
            (buffer, buffer.clone())
            for module in bare_model(runner).modules()
            if module.training
            for buffer in module.buffers(recurse=False)
        ]

    def after_train_iter(
        self, runner: Runner, batch_idx: int, **_: Any
    ) -> None:
        """Note a complete iteration."""
        self.statistics, self.obstacle = [], None
        self.trained = True
        if isinstance(runner.train_loop, EpochBasedTrainLoop):
            self.batches_done = batch_idx + 1

    def after_train_epoch(self, runner: Runner) -> None:
        """Count the batches of the next epoch from 0."""
        self.batches_done = 0

    def before_val_epoch(self, runner: Runner) -> None:
        """Note whether the model holds averaged weights from here on."""
        if any(isinstance(hook, EMAHook) for hook in runner.hooks):
            self.obstacle = 'the model held averaged weights, not trained ones'

    def after_val_epoch(self, runner: Runner, **_: Any) -> None:
        """Note that the model holds the trained weights again."""
        self.obstacle = None

    def _stop(self, runner: Runner, error: Exception) -> None:
        bad_loss = isinstance(error, NonFiniteLossError)
        saves = is_main_process() or not bad_loss
        if self.trained and saves and not isinstance(error, _NOT_SAVED):
            stopped = f'{type(error).__name__} after iteration {runner.iter}'
            try:
                path = self._save(runner)
                runner.logger.info(
                    f'{stopped}: everything trained so far is in {path}; '
                    f'correct the cause, then go on with --resume'
                )
            except UserError as problem:  # the first error is raised later
                runner.logger.warning(
                    f'{stopped}: this state was not saved, because {problem}; '
                    f'--resume goes on from the last checkpoint'
                )
        if bad_loss:
            # All processes stop at the same step, and the main one saves.
            # The first one to end ends the others, so all wait for it.
            barrier()

    def _save(self, runner: Runner) -> str:
        """Save the state and return the path of the file.

        Raises:
            UserError: if the state cannot be saved now, or by this runner.
        """
        model = runner.model
        if self.obstacle:
            raise UserError(self.obstacle)
        if not isinstance(runner, Runner):
            raise UserError(f'{type(runner).__name__} cannot save it')
        if is_model_wrapper(model) and not isinstance(
            model, MMDistributedDataParallel
        ):
            raise UserError(
                f'{type(model).__name__} needs all processes for it'
            )
        for buffer, kept in self.statistics:
            buffer.copy_(kept)
        refuse_spoiled_weights(runner, runner.iter)
        name = f'stopped_iter_{runner.iter}.pth'
        path = f'{runner.work_dir}/{name}'
        runner.message_hub.update_info('last_ckpt', path)
        # The process that failed may not be the main one.  The main process
        # then waits for it until it is ended; all have the same weights.
        save_on_this_process(
            runner,
            runner.work_dir,
            name,
            meta=dict(
                epoch=runner.epoch,
                iter=runner.iter,
                batches_done=self.batches_done,
            ),
            backend_args=WHOLE,
        )
        name_newest(runner.work_dir, path)
        return path
