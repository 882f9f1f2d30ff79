"""Collect what the runs of a battle have found, and compare entries."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

import numpy as np

from ..analysis.log_curves import RunLog, read_run
from ..datasets.corruption import CORRUPTIONS
from ..engine.resources import read_resources
from ..errors import UserError
from ..studies.statistics import CONFIDENCE, interval
from .corruptions import Condition, read_corrupted
from .costs import EntryCost, read_costs
from .figures import KINDS, Figures, read_figures
from .manifest import read_manifest
from .robustness import Robustness, robustness
from .run_folders import failures, read_choice, run_folder


@dataclass(frozen=True)
class Difference:
    """By how much the AP of an entry differs from another's.

    Attributes:
        mean: the mean over the seeds that both have.
        low: the lower end of the interval over images, of 95 %.
        high: its upper end.
        seeds: half the interval over the seeds, of 95 %; None for one seed.
    """

    mean: float
    low: float
    high: float
    seeds: float | None

    @property
    def noise(self) -> bool:
        """Whether an interval contains 0, or there is only one seed."""
        if self.seeds is None or self.low <= 0 <= self.high:
            return True
        return abs(self.mean) <= self.seeds


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
    """

    data: str
    entry: str
    lr: float | None
    seeds: Mapping[int, Figures]
    logs: Mapping[int, RunLog]
    resources: Mapping[int, Mapping[str, float | None]]
    failed: Mapping[str, str]
    corrupted: Mapping[int, Mapping[Condition, Figures]]

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
        values = self.values(name)
        return float(np.std(values, ddof=1)) if len(values) > 1 else None

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


@dataclass(frozen=True)
class Results:
    """All that a battle has found so far.

    Attributes:
        manifest: what the folder says about the battle.
        costs: the cost of each entry.
        results: the results of each entry on each data set.
        reference: the entry that others are compared with.
    """

    manifest: Mapping[str, Any]
    costs: Mapping[str, EntryCost]
    results: Mapping[tuple[str, str], EntryResult]
    reference: str

    @property
    def entries(self) -> list[str]:
        """The names of the entries, in their order."""
        return [*self.manifest['entries']]

    @property
    def datas(self) -> list[str]:
        """The names of the data sets."""
        return [*self.manifest['data']]

    @property
    def kinds(self) -> list[str]:
        """The kinds of AP that were measured: ``box``, ``mask``."""
        return [
            kind
            for kind in KINDS.values()
            if any(one.values(f'{kind} AP') for one in self.results.values())
        ]

    def difference(
        self, data: str, entry: str, other: str, kind: str
    ) -> Difference | None:
        """Compare two entries, paired over seeds and images."""
        a, b = (self.results[data, name] for name in (entry, other))
        name = f'{kind} AP'
        seeds = [
            seed
            for seed in a.seeds
            if seed in b.seeds
            and None
            not in (
                a.seeds[seed].figures.get(name),
                b.seeds[seed].figures.get(name),
            )
        ]
        if not seeds or entry == other:
            return None
        mean, half = interval(
            [
                a.seeds[s].figures[name] - b.seeds[s].figures[name]
                for s in seeds
            ]
        )
        drawn = [
            a.seeds[s].samples[kind] - b.seeds[s].samples[kind] for s in seeds
        ]
        tail = 50 * (1 - CONFIDENCE)
        low, high = np.nanpercentile(
            np.mean(drawn, axis=0), [tail, 100 - tail]
        )
        return Difference(mean, float(low), float(high), half)

    def conditions(self, data: str) -> list[Condition]:
        """List the corruptions and levels that were tried on a data set."""
        order = {name: place for place, name in enumerate(CORRUPTIONS)}
        found = {
            condition
            for name in self.entries
            for done in self.results[data, name].corrupted.values()
            for condition in done
        }
        return sorted(found, key=lambda c: (order[c.corruption], c.severity))

    @property
    def corruptions(self) -> list[str]:
        """The names of the corruptions that were tried on any data set."""
        found = {
            one.corruption for d in self.datas for one in self.conditions(d)
        }
        return [name for name in CORRUPTIONS if name in found]

    def robustness(
        self, data: str, entry: str, kind: str
    ) -> Robustness | None:
        """Summarize an entry on corrupted images.

        All entries are measured by the same conditions: those that any of
        them was tried on. One that lacks some has no summary yet.
        """
        one = self.results[data, entry]
        conditions = self.conditions(data)
        return robustness(one.seeds, one.corrupted, conditions, f'{kind} AP')

    def z_scores(self) -> dict[str, float]:
        """Give the mean z-score over all tasks, of entries that have all.

        A task is a kind of AP on a data set. The z-score is the AP less the
        mean of all entries, by their standard deviation.
        """
        scores: dict[str, list[float]] = {}
        tasks = [(d, k) for d in self.datas for k in self.kinds]
        for data, kind in tasks:
            found = {
                name: self.results[data, name].mean(f'{kind} AP')
                for name in self.entries
            }
            found = {n: v for n, v in found.items() if v is not None}
            deviation = pstdev(found.values()) if found else 0
            for name, value in found.items():
                z = (value - fmean(found.values())) / (deviation or 1)
                scores.setdefault(name, []).append(z)
        return {
            name: fmean(z)
            for name, z in scores.items()
            if len(z) == len(tasks)
        }

    def overall(self, entry: str) -> float | None:
        """Give the mean box AP over all data sets, if it has all."""
        found = [
            self.results[data, entry].mean('box AP') for data in self.datas
        ]
        return None if None in found or not found else fmean(found)

    def front(self, cost: str) -> list[str]:
        """List the entries that no other one beats in both AP and a cost.

        Args:
            cost: an attribute of ``EntryCost``.

        Returns:
            Their names, the cheapest first.
        """
        points = {
            name: (getattr(self.costs[name], cost), self.overall(name))
            for name in self.entries
            if name in self.costs
        }
        points = {n: p for n, p in points.items() if None not in p}
        best = [
            name
            for name, (price, ap) in points.items()
            if not any(
                p <= price and a >= ap and (p, a) != (price, ap)
                for p, a in points.values()
            )
        ]
        return sorted(best, key=lambda name: points[name][0])


def collect(folder: Path, reference: str | None = None) -> Results:
    """Read all runs of a battle.

    Args:
        folder: the folder of the battle.
        reference: the entry that others are compared with; None: the first.

    Raises:
        ValueError: the folder holds no battle.
    """
    manifest = read_manifest(folder)
    found = {}
    for data in manifest['data']:
        for name, entry in manifest['entries'].items():
            runs = folder / 'runs' / data / entry['folder']
            found[data, name] = _collect(runs, data, name)
    reference = reference or next(iter(manifest['entries']))
    return Results(manifest, read_costs(folder), found, reference)


def _collect(runs: Path, data: str, name: str) -> EntryResult:
    lr = read_choice(runs)
    seeds, logs, corrupted = {}, {}, {}
    resources = {}
    if lr is not None:
        parent = run_folder(runs, lr, 0).parent
        for run in sorted(parent.glob('seed-*')):
            seed = int(run.name.removeprefix('seed-'))
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
    failed = failures(runs)
    return EntryResult(
        data, name, lr, seeds, logs, resources, failed, corrupted
    )
