"""What the runs of one entry on one data set have found."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from ..analysis.log_curves import RunLog, read_run
from ..engine.resources import read_resources
from ..errors import UserError
from ..studies.statistics import deviation
from .corruptions import Condition, read_corrupted
from .figures import Figures, read_figures
from .run_folders import (
    failures,
    read_choice,
    run_folder,
    seed_folders,
    tried_rates,
)


@dataclass(frozen=True)
class EntryResult:
    """What the runs of an entry on a data set have found.

    Attributes:
        data: the name of the data set.
        entry: the name of the entry.
        lr: the learning rate; None if none was chosen yet.
        seeds: the figures of the test split by seed.
        logs: the logs of the same runs.
        resources: what these trainings took, see ``ResourcesHook``.
        failed: why runs failed, by the names of their folders.
        corrupted: the figures on corrupted images, by seed and condition.
        rates: the learning rates that it had to choose from.
    """

    data: str
    entry: str
    lr: float | None
    seeds: Mapping[int, Figures]
    logs: Mapping[int, RunLog]
    resources: Mapping[int, Mapping[str, float | None]]
    failed: Mapping[str, str]
    corrupted: Mapping[int, Mapping[Condition, Figures]]
    rates: Collection[str] = ()

    def values(self, name: str) -> list[float]:
        """Give a figure, such as ``box AP50``, of each seed that has it."""
        found = (one.figures.get(name) for one in self.seeds.values())
        return [value for value in found if value is not None]

    def mean(self, name: str) -> float | None:
        """Give the mean of a figure over the seeds."""
        values = self.values(name)
        return fmean(values) if values else None

    def spread(self, name: str) -> float | None:
        """Give the standard deviation of a figure over the seeds."""
        return deviation(self.values(name))

    def classes(self, kind: str) -> dict[str, float]:
        """Give the mean AP of each class that has objects."""
        found: dict[str, list[float]] = {}
        for one in self.seeds.values():
            for name, value in one.classes.get(kind, {}).items():
                if value is not None:
                    found.setdefault(name, []).append(value)
        return {name: fmean(values) for name, values in found.items()}

    @property
    def reasons(self) -> dict[str, int]:
        """Why runs failed, and how many did so for that reason."""
        return dict(Counter(self.failed.values()))

    def taken(self, name: str) -> float | None:
        """Give the mean of what a training took.

        Args:
            name: ``seconds``, ``memory`` (the peak of the process, in bytes)
                or ``energy`` (in joules).
        """
        found = [one.get(name) for one in self.resources.values()]
        known = [value for value in found if value is not None]
        return fmean(known) if known else None

    @property
    def training_memory(self) -> float | None:
        """The peak of the GPU's memory in training, in MB."""
        found = [
            line['memory']
            for log in self.logs.values()
            for _, line in log.train
            if line.get('memory')
        ]
        return max(found, default=None)


def read_entry_result(runs: Path, data: str, name: str) -> EntryResult:
    """Read what the runs of an entry on a data set have left in a folder.

    Args:
        runs: the folder of all its runs.
        data: the name of the data set.
        name: the name of the entry.
    """
    lr = read_choice(runs)
    seeds, logs, corrupted = {}, {}, {}
    resources = {}
    if lr is not None:
        parent = run_folder(runs, lr, 0).parent
        for seed, run in seed_folders(parent).items():
            figures = read_figures(run / 'test')
            if figures is None:
                continue
            seeds[seed] = figures
            corrupted[seed] = read_corrupted(run)
            resources[seed] = read_resources(run)
            try:
                logs[seed] = read_run(run)
            except UserError:  # fewer steps than the log's interval
                continue
    failed, rates = failures(runs), tried_rates(runs)
    return EntryResult(
        data, name, lr, seeds, logs, resources, failed, corrupted, rates
    )
