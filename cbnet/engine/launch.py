"""Join the processes that torchrun, Slurm or Open MPI started."""

import gc
import os
from datetime import timedelta
from typing import Any

import torch.distributed as dist
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.model import MMDistributedDataParallel, revert_sync_batchnorm
from mmengine.registry import MODEL_WRAPPERS
from torch import nn

from ..arguments import validated
from ..errors import UserValueError

#: launcher -> the variables that hold torch's RANK, WORLD_SIZE, LOCAL_RANK
LAUNCHERS = {
    'pytorch': dict(
        RANK='RANK', WORLD_SIZE='WORLD_SIZE', LOCAL_RANK='LOCAL_RANK'
    ),
    'slurm': dict(
        RANK='SLURM_PROCID',
        WORLD_SIZE='SLURM_NTASKS',
        LOCAL_RANK='SLURM_LOCALID',
    ),
    'mpi': dict(
        RANK='OMPI_COMM_WORLD_RANK',
        WORLD_SIZE='OMPI_COMM_WORLD_SIZE',
        LOCAL_RANK='OMPI_COMM_WORLD_LOCAL_RANK',
    ),
}


# In mmengine's registry, because its runner looks for wrappers only there.
@MODEL_WRAPPERS.register_module()
@validated
class CpuDataParallel(MMDistributedDataParallel):
    """Wrap a model as mmengine does, with norms that a CPU can compute.

    torch's ``SyncBN`` works only on GPUs.  Here its layers become plain
    batch norms with the same names and parameters, each normalising over the
    images of its own process.  mmengine itself does the same for a single
    process.
    """

    def __init__(self, module: nn.Module, **options: Any) -> None:
        super().__init__(revert_sync_batchnorm(module), **options)


def prepare_launch(cfg: Config, launcher: str) -> None:
    """Set ``cfg.launcher``; on a CPU, join a gloo process group.

    mmengine's own initialisation needs CUDA, and so does its model wrapper.
    On a CPU this function does both before the runner is built.

    Raises:
        ValueError: if the launcher, ``none`` or a key of ``LAUNCHERS``, did
            not set its environment variables.
    """
    cfg.launcher = launcher
    if launcher == 'none':
        return
    names = LAUNCHERS[launcher]
    absent = [name for name in names.values() if name not in os.environ]
    if absent:
        raise UserValueError(
            f'--launcher {launcher} found no {", ".join(absent)} in the '
            f'environment, where it sets them for each process; start the run '
            f'with torchrun, srun or mpirun, such as `torchrun '
            f'--nproc_per_node 8 -m cbnet train CONFIG --launcher pytorch`, '
            f'or leave --launcher out for one process'
        )
    # torch reads these names; with mpi, mmengine does not set LOCAL_RANK.
    os.environ.update({name: os.environ[names[name]] for name in names})
    if get_device() == 'cpu':
        _join_cpu_group(cfg)


def world_size(launcher: str) -> int:
    """Return the number of processes, after ``prepare_launch``."""
    return 1 if launcher == 'none' else int(os.environ['WORLD_SIZE'])


def is_first(launcher: str) -> bool:
    """Tell, after ``prepare_launch``, whether this process prints for all."""
    return launcher == 'none' or os.environ['RANK'] == '0'


def finish_launch() -> None:
    """Leave the process group, once nothing refers to the runner any more.

    A gloo thread that still runs when the interpreter ends aborts the
    process.  Leaving the group stops its threads only if no DDP reducer
    holds the group, so the reference cycles of the runner are collected
    first.
    """
    if dist.is_initialized():
        gc.collect()
        dist.destroy_process_group()


def _join_cpu_group(cfg: Config) -> None:
    if 'MASTER_ADDR' not in os.environ:
        raise UserValueError(
            'MASTER_ADDR is not set: on CPUs every process needs the name or '
            'address of the first node. Set it, and set MASTER_PORT too if '
            'port 29500 is in use'
        )
    os.environ.setdefault('MASTER_PORT', '29500')
    options = (cfg.get('env_cfg') or {}).get('dist_cfg') or {}
    seconds = options.get('timeout')
    wait = None if seconds is None else timedelta(seconds=seconds)
    dist.init_process_group('gloo', timeout=wait)
    wrapper = cfg.get('model_wrapper_cfg') or dict(
        type='CpuDataParallel',
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False),
    )
    cfg.model_wrapper_cfg = {**wrapper, 'device_ids': None}
