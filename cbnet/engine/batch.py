"""The batch of a run, and the learning rate that goes with it."""

from mmengine.config import Config

from ..errors import UserValueError


def accumulate_gradients(cfg: Config, batches: int) -> None:
    """Let one step of the optimizer see several batches.

    Raises:
        ValueError: fewer than one batch, or the config has no optimizer
            wrapper of its own that could count them.
    """
    if batches < 1:
        raise UserValueError(f'--accumulate: {batches}, expected 1 or more')
    if not cfg.get('optim_wrapper'):
        raise UserValueError('--accumulate needs optim_wrapper in the config')
    cfg.optim_wrapper.accumulative_counts = batches


def scale_learning_rate(cfg: Config, processes: int) -> str:
    """Switch on mmengine's scaling by the batch size; say what it does.

    mmengine counts images a process and processes; gradients that are
    accumulated over several batches are counted here.

    Args:
        cfg: the config, with a ``train_dataloader``; changed in place.
        processes: how many the run has.

    Returns:
        A line for people.

    Raises:
        ValueError: names the key that the config lacks.
    """
    section = cfg.get('auto_scale_lr') or {}
    if 'base_batch_size' not in section:
        raise UserValueError(
            '--auto-scale-lr needs auto_scale_lr.base_batch_size in the '
            'config: the batch size, over all processes, of its lr'
        )
    batches = cfg.optim_wrapper.get('accumulative_counts', 1)
    images = cfg.train_dataloader.batch_size
    # A dumped config may come here again.
    base = section.setdefault('images_of_lr', section['base_batch_size'])
    section['base_batch_size'] = base / batches
    section['enable'] = True
    cfg.auto_scale_lr = section
    batch = images * processes * batches
    lr = cfg.optim_wrapper.optimizer.get('lr')
    factors = f'{images} images x {processes} processes'
    if batches > 1:
        factors += f' x {batches} batches a step'
    return (
        f'learning rate: {lr:g} x {batch}/{base:g} = {lr * batch / base:g} '
        f'(batch of {batch}: {factors}; {lr:g} is for {base:g})'
    )
