"""When training stops with an error, save what was trained until then."""

import inspect
from collections.abc import Callable
from typing import Any

from mmdet.registry import HOOKS
from mmengine.dist import barrier, is_main_process
from mmengine.hooks import EMAHook, Hook
from mmengine.model import MMDistributedDataParallel, is_model_wrapper
from mmengine.optim import OptimWrapper
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, Runner
from torch import Tensor

from ..atomic_files import FileNotSavedError
from .checked_saving import (
    WHOLE,
    SpoiledWeightsError,
    bare_model,
    name_newest,
    refuse_spoiled_weights,
)
from .loss_guard import NonFiniteLossError


@HOOKS.register_module()
class SafeStopHook(Hook):
    """Save a checkpoint of the last whole iteration before an error leaves.

    The weights are those of the last whole iteration until the optimizer
    steps: an image that cannot be read, a loss that is no number, too
    little memory in the forward or backward pass all come before.  What the
    failed forward pass moved, running statistics, is set back.

    ``stopped_iter_<n>.pth`` then lies in the work dir, and ``--resume``
    finds it.  In a loop of epochs it goes on inside the epoch: as mmengine
    does in a loop of iterations, batches that were trained are loaded and
    passed over.
    """

    priority = 'LOWEST'  # what other hooks do belongs to the iteration

    def __init__(self) -> None:
        self.statistics: list[tuple[Tensor, Tensor]] = []
        self.in_iteration = self.stepped = self.validating = False
        self.trained = self.batches_done = self.batches_to_skip = 0

    def before_run(self, runner: Runner) -> None:
        """Enter the training loop, if it is one that trains."""
        loop = runner._train_loop  # the property would build it for a test
        if isinstance(loop, BaseLoop):
            loop.run = _saving(loop.run, lambda e: self._stop(runner, e))

    def after_load_checkpoint(
        self, runner: Runner, checkpoint: dict[str, Any]
    ) -> None:
        """Read where in its epoch the checkpoint is."""
        if runner._resume:
            meta = checkpoint.get('meta') or {}
            self.batches_to_skip = meta.get('batches_done', 0)

    def before_train(self, runner: Runner) -> None:
        """Ask optimizers to tell of their steps; pass over batches."""
        if not isinstance(runner, Runner):
            return
        wrappers = runner.optim_wrapper
        if isinstance(wrappers, OptimWrapper):
            wrappers = dict(only=wrappers)
        for wrapper in wrappers.values():
            wrapper.optimizer.register_step_pre_hook(self._note_step)
        loop = runner.train_loop
        if self.batches_to_skip and isinstance(loop, EpochBasedTrainLoop):
            loop.run_iter = self._resuming(runner, loop.run_iter)

    def _note_step(self, *_: Any) -> None:
        self.stepped = True

    def _resuming(
        self, runner: Runner, run_iter: Callable[..., None]
    ) -> Callable[..., None]:
        epoch, skip = runner.epoch, self.batches_to_skip
        runner.logger.info(
            f'epoch {epoch + 1} goes on after its first {skip} batches'
        )

        def run(idx: int, data_batch: Any) -> None:
            if runner.epoch > epoch or idx >= skip:
                run_iter(idx, data_batch)

        return run

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Keep what the forward pass moves before the optimizer steps."""
        self.statistics = [
            (buffer, buffer.clone())
            for module in bare_model(runner).modules()
            if module.training
            for buffer in module.buffers(recurse=False)
        ]
        self.in_iteration = True

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        """Count a whole iteration."""
        self.in_iteration = self.stepped = False
        self.trained += 1
        if isinstance(runner.train_loop, EpochBasedTrainLoop):
            self.batches_done = batch_idx + 1

    def after_train_epoch(self, runner: Runner) -> None:
        """Start anew: the loop counts the next epoch from here."""
        self.batches_done = 0

    def before_val_epoch(self, runner: Runner) -> None:
        """Note that weights may be averaged ones from here."""
        self.validating = True

    def after_val_epoch(
        self, runner: Runner, metrics: dict[str, float] | None = None
    ) -> None:
        """Note that weights are the trained ones again."""
        self.validating = False

    def _stop(self, runner: Runner, error: Exception) -> None:
        if self.trained:
            self._save_or_explain(runner, error)
        if isinstance(error, NonFiniteLossError):
            # All processes stop at the same step.  The first to end ends
            # the others, so none may before the checkpoint is there.
            barrier()

    def _save_or_explain(self, runner: Runner, error: Exception) -> None:
        """What is raised stays the first error, whatever happens here."""
        reason = self._obstacle(runner, error)
        if reason is None:
            try:
                path = self._save(runner)
            except (FileNotSavedError, SpoiledWeightsError) as problem:
                reason = str(problem)
        if reason is None:
            runner.logger.info(
                f'{type(error).__name__} after iteration {runner.iter}: all '
                f'that was trained is in {path}; mend what is wrong, then '
                f'go on with --resume'
            )
        elif reason:
            runner.logger.warning(
                f'{type(error).__name__} after iteration {runner.iter}: no '
                f'checkpoint of this state, because {reason}; --resume goes '
                f'on from the last one'
            )

    def _obstacle(self, runner: Runner, error: Exception) -> str | None:
        """Say why the state cannot be saved, or '' if that was said."""
        if isinstance(error, FileNotSavedError | SpoiledWeightsError):
            return ''
        if isinstance(error, NonFiniteLossError) and not is_main_process():
            return ''  # every process stops; the main one saves
        if self.stepped:
            return 'it was inside a step'
        if self.validating and any(
            isinstance(hook, EMAHook) for hook in runner.hooks
        ):
            return 'averaged weights were in the place of the trained ones'
        if not isinstance(runner, Runner):
            return f'{type(runner).__name__} cannot save it'
        if is_model_wrapper(runner.model) and not isinstance(
            runner.model, MMDistributedDataParallel
        ):
            return f'{type(runner.model).__name__} needs all processes for it'
        return None

    def _save(self, runner: Runner) -> str:
        if self.in_iteration:
            for buffer, kept in self.statistics:
                buffer.copy_(kept)
        refuse_spoiled_weights(runner, runner.iter)
        name = f'stopped_iter_{runner.iter}.pth'
        path = f'{runner.work_dir}/{name}'
        runner.message_hub.update_info('last_ckpt', path)
        # The process that stops may not be the main one, which then waits
        # for it until it is ended; all have the same weights.
        inspect.unwrap(Runner.save_checkpoint)(
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


def _saving(
    run: Callable[[], Any], stop: Callable[[Exception], None]
) -> Callable[[], Any]:
    def wrapped() -> Any:
        try:
            return run()
        except Exception as error:
            stop(error)
            raise

    return wrapped
