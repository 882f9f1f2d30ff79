"""Collect what the runs of a battle have found, and compare entries."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

import numpy as np

from ..datasets.corruption import CORRUPTIONS
from ..studies.statistics import CONFIDENCE, interval
from .corruptions import Condition
from .costs import EntryCost, read_costs
from .entry_result import EntryResult, read_entry_result
from .figures import KINDS
from .manifest import read_manifest
from .robustness import Robustness, robustness
from .run_folders import entry_folder


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
    def classes(self) -> list[str]:
        """The names of the classes of all data sets."""
        found = (self.manifest['data'][name]['classes'] for name in self.datas)
        return [*dict.fromkeys(chain.from_iterable(found))]

    @property
    def unfinished(self) -> dict[str, list[str]]:
        """The entries that still lack a result, by the data set.

        These data sets cannot be averaged over. An entry that failed lacks
        none, and neither does one without any result.
        """
        begun = {name for (_, name), one in self.results.items() if one.seeds}
        lacking = {
            data: [
                name
                for name in self.entries
                if name in begun
                and not self.results[data, name].seeds
                and not self.results[data, name].failed
            ]
            for data in self.datas
        }
        return {data: names for data, names in lacking.items() if names}

    @property
    def finished(self) -> list[str]:
        """The names of the data sets that can be averaged over."""
        return [data for data in self.datas if data not in self.unfinished]

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
        pairs = [
            (
                a.seeds[s].samples.get(kind, ()),
                b.seeds[s].samples.get(kind, ()),
            )
            for s in seeds
        ]
        # However many samples a run drew, the first ones are the same images.
        shared = min(min(map(len, pair)) for pair in pairs)
        if not shared:
            return None
        drawn = np.mean([x[:shared] - y[:shared] for x, y in pairs], axis=0)
        drawn = drawn[~np.isnan(drawn)]  # a sample may have no object
        if not drawn.size:
            return None
        tail = 50 * (1 - CONFIDENCE)
        low, high = np.percentile(drawn, [tail, 100 - tail])
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

        A task is a kind of AP on a data set that is finished. The z-score is
        the AP less the mean of all entries, by their standard deviation.
        """
        scores: dict[str, list[float]] = {}
        tasks = [(d, k) for d in self.finished for k in self.kinds]
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
        """Give the mean box AP over finished data sets, if it has all."""
        found = [
            self.results[data, entry].mean('box AP') for data in self.finished
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
        reference: the entry that others are compared with; None: that of
            the manifest, or the first.

    Raises:
        ValueError: the folder holds no battle.
    """
    manifest = read_manifest(folder)
    found = {}
    for data in manifest['data']:
        for name, entry in manifest['entries'].items():
            runs = entry_folder(folder, data, entry['folder'])
            found[data, name] = read_entry_result(runs, data, name)
    reference = reference or manifest.get('reference')
    reference = reference or next(iter(manifest['entries']))
    return Results(manifest, read_costs(folder), found, reference)
