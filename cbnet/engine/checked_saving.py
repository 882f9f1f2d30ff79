"""Checkpoints that stay loadable: whole files, and the old ones until then."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from mmdet.registry import HOOKS
from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend, get_file_backend
from mmengine.hooks import CheckpointHook
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from ..atomic_files import remove_unfinished, write_whole
from ..errors import UserError

#: makes mmengine write a local file whole
WHOLE = dict(backend='whole')


class SpoiledWeightsError(UserError, FloatingPointError):
    """Weights are nan or inf, so that they are not worth saving."""


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """mmengine's hook, with the same options; nothing saved gets lost.

    Every file is written whole (``atomic_files``).  mmengine removes
    surplus checkpoints, and the former best one, before it saves their
    successor; here they go once it is saved.  Weights that are nan or inf
    are refused, so that the newest checkpoint is always worth resuming.

    Folders that are not on a local disk keep mmengine's way of writing.
    """

    def before_train(self, runner: Runner) -> None:
        """Settle how files are written; remove what a kill left of them."""
        folder = self.out_dir or runner.work_dir
        if (
            self.file_client_args is None
            and self.backend_args is None
            and type(get_file_backend(folder)) is LocalBackend
        ):
            self.backend_args = WHOLE
        super().before_train(runner)
        if is_main_process():
            for place in {str(self.out_dir), str(runner.work_dir)}:
                for path in remove_unfinished(place):
                    runner.logger.info(f'removed {path}, half of a file')

    def _save_checkpoint_with_step(
        self, runner: Runner, step: int, meta: dict[str, Any]
    ) -> None:
        refuse_spoiled_weights(runner, meta['iter'])
        surplus = self._enter(runner, step)
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            name,
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
            for old in surplus:
                _remove(self.file_backend, old)

    def _enter(self, runner: Runner, step: int) -> list[str]:
        """Note the step in the checkpoints to keep; give what is surplus."""
        if self.max_keep_ckpts <= 0 or step in list(self.keep_ckpt_ids)[-1:]:
            return []
        surplus = []
        if len(self.keep_ckpt_ids) == self.max_keep_ckpts:
            name = self.filename_tmpl.format(self.keep_ckpt_ids.popleft())
            surplus = [self.file_backend.join_path(self.out_dir, name)]
        self.keep_ckpt_ids.append(step)
        runner.message_hub.update_info(
            'keep_ckpt_ids', list(self.keep_ckpt_ids)
        )
        return surplus

    def _save_best_checkpoint(
        self, runner: Runner, metrics: dict[str, Any]
    ) -> None:
        if not self.save_best:
            return
        refuse_spoiled_weights(runner, runner.iter)
        with self._removing_afterwards():
            super()._save_best_checkpoint(runner, metrics)

    @contextmanager
    def _removing_afterwards(self) -> Iterator[None]:
        """Put off what the block removes until it has succeeded."""
        backend = self.file_backend
        self.file_backend = _LateRemovals(backend)
        try:
            yield
            put_off = self.file_backend.paths
        finally:
            self.file_backend = backend
        best = getattr(self, 'best_ckpt_path_dict', {}).values()
        current = {self.last_ckpt, getattr(self, 'best_ckpt_path', None)}
        for path in put_off:
            if path not in current.union(best):
                _remove(backend, path)


class _LateRemovals:
    """A file backend that only takes note of what it should remove."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self.paths: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend, name)

    def remove(self, path: str) -> None:
        self.paths.append(path)

    rmtree = remove


def _remove(backend: Any, path: str) -> None:
    if backend.isfile(path):
        backend.remove(path)
    elif backend.isdir(path):  # as DeepSpeed writes them
        backend.rmtree(path)


def name_newest(work_dir: str | os.PathLike[str], checkpoint: str) -> None:
    """Note in ``last_checkpoint`` what ``--resume`` goes on from."""
    write_whole(Path(work_dir, 'last_checkpoint'), checkpoint.encode())


def bare_model(runner: Runner) -> nn.Module:
    """Give the model without what wraps it: processes, several views."""
    model = runner.model
    if is_model_wrapper(model):
        model = model.module
    return model.module if isinstance(model, BaseTTAModel) else model


def refuse_spoiled_weights(runner: Runner, iteration: int) -> None:
    """Refuse to save weights that are not finite.

    Args:
        runner: whose model.
        iteration: how many were done, for the message.

    Raises:
        SpoiledWeightsError: says which weights, since when, what to do.
    """
    names, weights = [], []
    for name, weight in bare_model(runner).named_parameters():
        names.append(name)
        weights.append(weight.detach().isfinite().all())
    sound = torch.stack(weights).tolist() if weights else []
    if all(sound):
        return
    spoiled = [n for n, fine in zip(names, sound, strict=True) if not fine]
    last = runner.message_hub.runtime_info.get('last_ckpt')
    older = f'the last one saved is {last}' if last else 'there is none yet'
    raise SpoiledWeightsError(
        f'after iteration {iteration}, {len(spoiled)} of {len(names)} '
        f'weights hold nan or inf ({", ".join(spoiled[:3])}), so no '
        f'checkpoint was saved; {older}. Lower the learning rate or clip '
        f'gradients (optim_wrapper.clip_grad), then go on with --resume'
    )
