"""Join the processes that torchrun, Slurm or Open MPI started."""

import gc
import os
from datetime import timedelta

import torch.distributed as dist
from mmengine.config import Config
from mmengine.device import get_device

from ..errors import UserValueError

#: launcher -> where it writes torch's RANK, WORLD_SIZE and LOCAL_RANK
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


def prepare_launch(cfg: Config, launcher: str) -> None:
    """Set ``cfg.launcher``; without an accelerator join a gloo group.

    mmengine's own initialisation asks for CUDA, and its wrapper names a
    CUDA device; on a CPU both are settled here, before the runner looks.
    ``CpuDataParallel`` takes SyncBN, which torch has for GPUs alone.

    Args:
        cfg: the config of the run, changed in place.
        launcher: ``none`` or a key of ``LAUNCHERS``.

    Raises:
        ValueError: names the environment variables that the launcher should
            have set and has not.
    """
    cfg.launcher = launcher
    if launcher == 'none':
        return
    names = LAUNCHERS[launcher]
    absent = [name for name in names.values() if name not in os.environ]
    if absent:
        raise UserValueError(
            f'--launcher {launcher} found no {", ".join(absent)} in the '
            f'environment, which it sets for each process; '
            f'start the run with torchrun, srun or mpirun, such as `torchrun '
            f'--nproc_per_node 8 -m cbnet train CONFIG --launcher pytorch`, '
            f'or leave --launcher out for one process'
        )
    # mmengine's mpi launcher leaves LOCAL_RANK to whoever calls it.
    os.environ['LOCAL_RANK'] = os.environ[names['LOCAL_RANK']]
    if get_device() == 'cpu':
        _join_cpu_group(cfg, names)


def world_size(launcher: str) -> int:
    """Give the number of processes that a launcher started."""
    if launcher == 'none':
        return 1
    return int(os.environ[LAUNCHERS[launcher]['WORLD_SIZE']])


def is_first(launcher: str) -> bool:
    """Tell whether this is the process that speaks for all of them."""
    return launcher == 'none' or os.environ[LAUNCHERS[launcher]['RANK']] == '0'


def finish_launch() -> None:
    """Leave the process group; call it when nothing refers to the runner.

    A gloo thread that meets the end of the interpreter aborts the process.
    Leaving stops the threads only if no reducer of a model still holds the
    group, and a runner is full of reference cycles.
    """
    if dist.is_initialized():
        gc.collect()
        dist.destroy_process_group()


def _join_cpu_group(cfg: Config, names: dict[str, str]) -> None:
    if 'MASTER_ADDR' not in os.environ:
        raise UserValueError(
            'on CPUs every process needs MASTER_ADDR, the name or address '
            'of the first node; set it and, if taken, MASTER_PORT (29500)'
        )
    os.environ.setdefault('MASTER_PORT', '29500')
    settings = cfg.get('env_cfg', {}).get('dist_cfg', {})
    seconds = settings.get('timeout')
    dist.init_process_group(
        'gloo',
        rank=int(os.environ[names['RANK']]),
        world_size=int(os.environ[names['WORLD_SIZE']]),
        timeout=None if seconds is None else timedelta(seconds=seconds),
    )
    wrapper = cfg.get('model_wrapper_cfg') or dict(
        type='CpuDataParallel',
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False),
    )
    cfg.model_wrapper_cfg = {**wrapper, 'device_ids': None}
