"""Note what a training takes: time, memory and, where it can be read, energy.

The figures travel in the checkpoints, so that a run that is resumed counts
what was trained before, and not what an interruption has lost.
"""

import importlib
import json
from pathlib import Path
from time import perf_counter
from typing import Any

from mmdet.registry import HOOKS
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ..arguments import validated
from ..atomic_files import write_whole

RESOURCES = 'resources.json'
#: the key of the figures in the message hub, which checkpoints hold
_KEY = 'resources'
_WINDOW = 'training'
_STATUS = Path('/proc/self/status')


@HOOKS.register_module()
@validated
class ResourcesHook(Hook):
    """Write ``resources.json`` into the work dir when a training ends.

    It holds ``seconds``, ``memory`` (the peak of the main process, in bytes)
    and ``energy`` (of the GPUs and, where the system lets it be read, the
    processor, in joules). What cannot be read is null: the memory needs
    Linux, the energy the package zeus, which reads the counters of the
    devices. Other work on the same devices counts, too.
    """

    # Checkpoints are saved at normal priority and must hold the figures.
    priority = 'HIGH'

    def before_train(self, runner: Runner) -> None:
        """Start the measurement, after what a resumed checkpoint counted."""
        # A runner's hub holds scalars and texts best, so this is one text.
        text = runner.message_hub.runtime_info.get(_KEY)
        self.before = json.loads(text) if text else {}
        self.start = perf_counter()
        self.meter = _energy_meter() if is_main_process() else None
        if self.meter is not None:
            self.meter.begin_window(_WINDOW)
            self.joules = 0.0

    def before_save_checkpoint(
        self, runner: Runner, checkpoint: dict[str, Any]
    ) -> None:
        """Put the figures until now into the checkpoint."""
        # mmengine has already taken the state of the hub.
        figures = json.dumps(self._figures())
        state = checkpoint.get('message_hub')
        if state is not None:
            state['runtime_info'][_KEY] = figures
            state['resumed_keys'][_KEY] = True

    def after_train(self, runner: Runner) -> None:
        """Write the file."""
        if is_main_process():
            content = json.dumps(self._figures(), indent=1).encode()
            write_whole(Path(runner.work_dir) / RESOURCES, content)

    def _figures(self) -> dict[str, float | None]:
        energy = None
        if self.meter is not None:
            self.joules += _joules(self.meter.end_window(_WINDOW))
            self.meter.begin_window(_WINDOW)
            energy = self.joules
        seconds = perf_counter() - self.start
        found = dict(seconds=seconds, energy=energy)
        for name, value in found.items():
            earlier = self.before.get(name)
            if self.before and None in (earlier, value):
                found[name] = None  # a part of it is not known
            elif value is not None:
                found[name] = value + (earlier or 0.0)
        peaks = [self.before.get('memory'), _peak_memory()]
        known = [peak for peak in peaks if peak is not None]
        return found | dict(memory=max(known, default=None))


def _energy_meter() -> Any:
    """Give what reads the energy of this machine's devices, or None."""
    try:
        monitor = importlib.import_module('zeus.monitor').ZeusMonitor
        meter = monitor()
        devices = meter.gpu_indices or meter.cpu_indices
    except Exception:  # it needs devices, drivers and rights
        return None
    return meter if devices else None


def _joules(measured: Any) -> float:
    parts = measured.gpu_energy, measured.cpu_energy, measured.dram_energy
    return float(sum(sum(part.values()) for part in parts if part))


def _peak_memory() -> int | None:
    """Give the most memory that this process has held, in bytes."""
    if not _STATUS.exists():
        return None
    lines = _STATUS.read_text().splitlines()
    line = next((one for one in lines if one.startswith('VmHWM:')), None)
    return None if line is None else int(line.split()[1]) * 1024


def read_resources(folder: Path) -> dict[str, float | None]:
    """Read what a training has taken; empty if it wrote nothing."""
    file = folder / RESOURCES
    return json.loads(file.read_text()) if file.exists() else {}
