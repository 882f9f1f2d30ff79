"""How many threads compute, settled before torch is imported.

By itself torch starts a thread for each core of the machine, also where a
container may use two of them, and its threads spin while they wait for each
other: beside other busy processes a step then takes many times as long.  A
command therefore counts the CPUs that it may use, shares them with the
processes that were started beside it and with those that load images, and
lets threads sleep while they wait.  What the user has set stays.
"""

import os
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

#: the variables that hold a number of threads, and those about waiting
COUNTS = ('OMP_NUM_THREADS', 'MKL_NUM_THREADS')
WAITING = ('OMP_WAIT_POLICY', 'KMP_BLOCKTIME', 'GOMP_SPINCOUNT')
#: the commands that a command runs at a time, of which each is one
BESIDE = 'CBNET_BESIDE'
# What a command has set is no wish of the user to the commands that it runs.
_OWN = 'CBNET_THREADS'
# launcher -> the variable with the number of its processes on this machine
_LOCAL = {
    'pytorch': 'LOCAL_WORLD_SIZE',
    'mpi': 'OMPI_COMM_WORLD_LOCAL_SIZE',
}


class Cpus(NamedTuple):
    """The CPUs that a process may use, and what limits them."""

    number: int
    reason: str


def usable_cpus(root: Path = Path('/')) -> Cpus:
    """Count the CPUs that this process may use.

    Args:
        root: where ``proc`` and ``sys`` are.
    """
    allowed = os.cpu_count() or 1
    if hasattr(os, 'sched_getaffinity'):  # not on every system
        allowed = len(os.sched_getaffinity(0))
    quota = min(_quotas(root), default=float('inf'))
    if quota < allowed:
        return Cpus(max(int(quota), 1), f'a quota of {quota:g} CPUs')
    return Cpus(allowed, f'{allowed} usable CPUs')


def _quotas(root: Path) -> Iterator[float]:
    """Yield the limits, in CPUs, of this process's control groups."""
    try:
        groups = (root / 'proc/self/cgroup').read_text().splitlines()
    except OSError:
        return
    for line in groups:
        _, controllers, path = line.split(':', 2)
        names = controllers.split(',')
        if controllers and 'cpu' not in names:
            continue
        # In a container, the path may be that outside of it.
        inner = Path(path.lstrip('/'))
        for mount in {controllers or '.', *(names if controllers else ())}:
            top = root / 'sys/fs/cgroup' / mount
            for folder in (top / inner, *(top / p for p in inner.parents)):
                with suppress(OSError, ValueError):
                    limit, period = _limit(folder, is_v2=not controllers)
                    if limit > 0 and period > 0:
                        yield limit / period


def _limit(folder: Path, is_v2: bool) -> tuple[float, float]:
    """Read the time that a group may use in a period; ``max`` is no number."""
    if is_v2:
        limit, period = (folder / 'cpu.max').read_text().split()
        return int(limit), int(period)
    names = 'cpu.cfs_quota_us', 'cpu.cfs_period_us'  # -1 is no limit
    limit, period = (int((folder / name).read_text()) for name in names)
    return limit, period


class Threads(NamedTuple):
    """What was settled.

    Attributes:
        number: the threads of this process; None: as the user has set.
        reason: why.
    """

    number: int | None
    reason: str

    def __str__(self) -> str:
        return f'threads: {self.reason}'


def settle_threads(
    launcher: str = 'none',
    environment: MutableMapping[str, str] = os.environ,
    root: Path = Path('/'),
) -> Threads | None:
    """Set the variables that torch reads when it is imported.

    Args:
        launcher: what has started this process.
        environment: the variables.
        root: where ``proc`` and ``sys`` are.

    Returns:
        What was settled; None if torch is there, so that it is too late.
    """
    if environment is os.environ and 'torch' in sys.modules:
        return None
    own = environment.get(_OWN, '').split()
    users = [
        name
        for name in (*COUNTS, *WAITING)
        if name in environment and name not in own
    ]
    chosen, texts = {}, []
    cpus, number = usable_cpus(root), None
    count = _first(environment, users, COUNTS)
    if count:
        texts.append(f'{count} is set')
    else:
        beside = _processes(environment, launcher)
        number = max(cpus.number // beside, 1)
        chosen['OMP_NUM_THREADS'] = str(number)
        shared = f', shared by {beside} processes' if beside > 1 else ''
        texts.append(f'{number} for {cpus.reason}{shared}')
    waiting = _first(environment, users, WAITING)
    if waiting:
        texts.append(f'{waiting} is set')
    else:  # of GNU's library, which torch's own builds have, and of Intel's
        chosen |= dict(OMP_WAIT_POLICY='PASSIVE', KMP_BLOCKTIME='0')
        texts.append('they sleep while they wait')
    environment.update(chosen)
    environment[_OWN] = ' '.join(chosen)
    return Threads(number, '; '.join(texts))


def _first(
    environment: Mapping[str, str], users: list[str], names: tuple[str, ...]
) -> str:
    found = [f'{name}={environment[name]}' for name in names if name in users]
    return found[0] if found else ''


def _processes(environment: Mapping[str, str], launcher: str) -> int:
    """Count the processes that share this one's CPUs, with this one."""
    texts = (
        environment.get(_LOCAL.get(launcher, '')),
        environment.get(BESIDE),
    )
    number = 1
    for text in texts:
        if text and text.isdecimal():
            number *= max(int(text), 1)
    return number


def beside_loaders(threads: int, workers: int, on_cpu: bool) -> int:
    """Count the threads that are left beside the processes of a loader.

    Where a CPU computes the model, those that load images wait most of the
    time: they get at most a quarter of the CPUs.

    Args:
        threads: the threads without a loader.
        workers: the processes that load images.
        on_cpu: whether the CPU computes the model.
    """
    least = threads - threads // 4 if on_cpu else 1
    return max(threads - workers, least)
