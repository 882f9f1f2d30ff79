"""Leave CPUs to the processes that load images."""

import torch
from mmengine.config import Config
from mmengine.device import get_device

from ..threads import Threads, beside_loaders


def leave_cpus(
    cfg: Config, settled: Threads | None, *splits: str
) -> list[str]:
    """Count the workers of a run in, and turn OpenCV's own threads off.

    Args:
        cfg: the config, whose ``mp_cfg`` is for the processes of its loaders.
        settled: what was settled at the start of the command; None: nothing.
        splits: those of ``train``, ``val`` and ``test`` whose data are loaded.

    Returns:
        A line for the user, if the workers change the number of threads.
    """
    env_cfg = cfg.get('env_cfg') or {}
    mp_cfg = {'opencv_num_threads': 0, **(env_cfg.get('mp_cfg') or {})}
    cfg.env_cfg = dict(env_cfg, mp_cfg=mp_cfg)
    loaders = (cfg.get(f'{split}_dataloader') or {} for split in splits)
    workers = max((one.get('num_workers', 0) for one in loaders), default=0)
    if settled is None or settled.number is None:
        return []
    number = beside_loaders(settled.number, workers, get_device() == 'cpu')
    if number == settled.number:
        return []
    torch.set_num_threads(number)
    return [f'threads: {number} beside {workers} workers that load images']
