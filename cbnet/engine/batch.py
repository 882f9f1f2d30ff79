"""Set the batch size of a run and the learning rate that belongs to it."""

from typing import Annotated

from annotated_types import Ge
from mmengine.config import Config

from ..arguments import check_value
from ..errors import UserValueError


def accumulate_gradients(cfg: Config, batches: int) -> None:
    """Let each step of the optimizer see the gradients of several batches."""
    if batches < 1:
        raise UserValueError(f'--accumulate: {batches}, expected 1 or more')
    if not cfg.get('optim_wrapper'):
        raise UserValueError('--accumulate needs optim_wrapper in the config')
    cfg.optim_wrapper.accumulative_counts = batches


def scale_learning_rate(cfg: Config, processes: int) -> str:
    """Let mmengine scale the learning rate by the batch size.

    mmengine multiplies the images per process by the number of processes;
    this function also takes accumulated batches into account.

    Returns:
        A line that tells the user the new learning rate.

    Raises:
        ValueError: the config has no ``auto_scale_lr.base_batch_size``, or no
            learning rate.
    """
    section = cfg.get('auto_scale_lr') or {}
    if 'base_batch_size' not in section:
        raise UserValueError(
            '--auto-scale-lr needs auto_scale_lr.base_batch_size in the '
            'config, the batch size (over all processes) that its lr is for'
        )
    wrapper = cfg.get('optim_wrapper') or {}
    lr = (wrapper.get('optimizer') or {}).get('lr')
    if lr is None:
        raise UserValueError(
            'optim_wrapper.optimizer has no lr that could be scaled'
        )
    batches = wrapper.get('accumulative_counts', 1)
    images = cfg.train_dataloader.get('batch_size', 1)
    check_value('train_dataloader.batch_size', Annotated[int, Ge(1)], images)
    # A dumped config that is trained again must not be scaled twice.
    base = section.setdefault('images_of_lr', section['base_batch_size'])
    section.update(base_batch_size=base / batches, enable=True)
    cfg.auto_scale_lr = section
    batch = images * processes * batches
    factors = f'{images} images x {processes} processes'
    if batches > 1:
        factors += f' x {batches} batches per step'
    return (
        f'learning rate: {lr:g} x {batch}/{base:g} = {lr * batch / base:g} '
        f'(batch of {batch}: {factors}; {lr:g} is for {base:g})'
    )
