"""Write checkpoints whole, and remove them only after their successors."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmdet.registry import HOOKS
from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend, get_file_backend
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from ..arguments import validated
from ..atomic_files import remove_unfinished, write_whole
from ..compat.mmengine_internals import OverridableCheckpointHook
from ..errors import UserError
from ..messages import did_you_mean, listed

#: the ``backend_args`` with which mmengine writes whole local files
WHOLE = dict(backend='whole')


class SpoiledWeightsError(UserError, FloatingPointError):
    """Weights are nan or inf, so they are not worth saving."""


@HOOKS.register_module()
@validated
class SafeCheckpointHook(OverridableCheckpointHook):
    """Save checkpoints as ``CheckpointHook`` does, and never lose one.

    Files on a local disk are written whole (``atomic_files``).  mmengine
    removes surplus checkpoints, and the previous best one, before it saves
    their successor; this hook removes them afterwards.  It refuses to save
    weights that are nan or inf, so the newest checkpoint is always worth
    resuming.  The options are mmengine's.
    """

    def before_train(self, runner: Runner) -> None:
        """Choose how to write; remove the unfinished files of a killed run."""
        folder = self.out_dir or runner.work_dir
        chosen = self.file_client_args or self.backend_args
        if not chosen and type(get_file_backend(folder)) is LocalBackend:
            self.backend_args = WHOLE
        super().before_train(runner)
        if is_main_process():
            for place in {str(self.out_dir), str(runner.work_dir)}:
                for path in remove_unfinished(place):
                    runner.logger.info(f'removed the unfinished file {path}')

    def save_step(
        self, runner: Runner, step: int, meta: dict[str, Any]
    ) -> None:
        """Save the checkpoint of a step, then remove the surplus one."""
        refuse_spoiled_weights(runner, meta['iter'])
        surplus = self._note_step(runner, step)
        self.last_ckpt = self._path(step)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            self.filename_tmpl.format(step),
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        if is_main_process():
            name_newest(runner.work_dir, self.last_ckpt)
            if surplus:
                _remove(self.file_backend, surplus)

    def _note_step(self, runner: Runner, step: int) -> str | None:
        """Note the step as one to keep; return the path of the surplus."""
        if self.max_keep_ckpts <= 0:
            return None
        steps = self.keep_ckpt_ids
        if steps and steps[-1] == step:
            return None
        full = len(steps) == self.max_keep_ckpts
        surplus = self._path(steps.popleft()) if full else None
        steps.append(step)
        runner.message_hub.update_info('keep_ckpt_ids', list(steps))
        return surplus

    def _path(self, step: int) -> str:
        name = self.filename_tmpl.format(step)
        return self.file_backend.join_path(self.out_dir, name)

    def after_val_epoch(
        self, runner: Runner, metrics: dict[str, float]
    ) -> None:
        """Save the best checkpoint, then remove the previous best one."""
        if metrics and self.save_best:
            refuse_spoiled_weights(runner, runner.iter)
            wanted = [k for k in self.key_indicators if k != 'auto']
            if unknown := [key for key in wanted if key not in metrics]:
                runner.logger.warning(
                    f'save_best={unknown[0]!r}: the evaluation gives no such '
                    f'figure{did_you_mean(unknown[0], metrics)}; no best '
                    f'checkpoint is kept, expected one of {listed(metrics)}'
                )
                return
        with self._removing_afterwards():
            super().after_val_epoch(runner, metrics)

    @contextmanager
    def _removing_afterwards(self) -> Iterator[None]:
        """Postpone the removal of files until the block has succeeded."""
        backend = self.file_backend
        self.file_backend = _LateRemovals(backend)
        try:
            yield
            postponed = self.file_backend.paths
        finally:
            self.file_backend = backend
        # A new best checkpoint may have the name of the previous one: names
        # count epochs, and one epoch may be evaluated more than once.
        best = getattr(self, 'best_ckpt_path_dict', {}).values()
        in_use = {self.last_ckpt, getattr(self, 'best_ckpt_path', None), *best}
        for path in postponed:
            if path not in in_use:
                _remove(backend, path)


class _LateRemovals:
    """A file backend that records what it should remove."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self.paths: list[str] = []
        self.remove = self.rmtree = self.paths.append

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend, name)


def _remove(backend: Any, path: str) -> None:
    if backend.isfile(path):
        backend.remove(path)
    elif backend.isdir(path):  # DeepSpeed's checkpoints are folders
        backend.rmtree(path)


def name_newest(work_dir: str, checkpoint: str) -> None:
    """Write to the work dir which checkpoint ``--resume`` continues from."""
    write_whole(Path(work_dir, 'last_checkpoint'), checkpoint.encode())


def bare_model(runner: Runner) -> nn.Module:
    """Return the model without its wrappers (DDP, test-time augmentation)."""
    model = runner.model
    if is_model_wrapper(model):
        model = model.module
    return model.module if isinstance(model, BaseTTAModel) else model


def refuse_spoiled_weights(runner: Runner, iteration: int) -> None:
    """Raise a ``SpoiledWeightsError`` if any weight is nan or inf.

    Args:
        runner: the runner of the model.
        iteration: the number of finished iterations, for the message.
    """
    weights = dict(bare_model(runner).named_parameters())
    spoiled = [n for n, w in weights.items() if not w.isfinite().all()]
    if not spoiled:
        return
    last = runner.message_hub.runtime_info.get('last_ckpt')
    older = f'the last one saved is {last}' if last else 'there is none yet'
    raise SpoiledWeightsError(
        f'after iteration {iteration}, {len(spoiled)} of {len(weights)} '
        f'weights hold nan or inf ({listed(spoiled, 3)}), so no checkpoint '
        f'was saved; {older}. Lower the learning rate or clip gradients '
        f'(optim_wrapper.clip_grad), then go on with --resume'
    )
