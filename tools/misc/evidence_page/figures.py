"""The figures of the evidence: one row for each training and entry.

AP is in the range from 0 to 1, as COCO defines it.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from cbnet.atomic_files import write_whole
from cbnet.battle.results import collect
from cbnet.errors import UserValueError
from cbnet.studies.statistics import interval

KINDS = 'box', 'mask'
_RUN = ('study', 'data', 'entry', 'seed')
_FIGURES = tuple(f'{kind} {name}' for kind in KINDS for name in ('AP', 'AP50'))
_COST = ('study', 'entry')
_COSTS = ('parameters', 'trained', 'macs', 'step')
_HEADS = {
    'runs.csv': (*_RUN, 'rate', 'budget', *_FIGURES),
    'costs.csv': (*_COST, *_COSTS),
}
Row = dict[str, str]


@dataclass(frozen=True)
class Evidence:
    """All rows of the two files."""

    runs: Sequence[Row]
    costs: Sequence[Row]

    def studies(self) -> list[str]:
        """Name the studies, in the order of the file."""
        return [*dict.fromkeys(row['study'] for row in self.runs)]

    def datas(self, study: str) -> list[str]:
        """Name the data sets of a study."""
        found = (row['data'] for row in self.runs if row['study'] == study)
        return [*dict.fromkeys(found)]

    def entries(self, study: str) -> list[str]:
        """Name the entries of a study; the first one is the reference."""
        found = (row['entry'] for row in self.costs if row['study'] == study)
        return [*found]

    def cost(self, study: str, entry: str) -> dict[str, float]:
        """Give the costs of an entry that are known."""
        for row in self.costs:
            if (row['study'], row['entry']) == (study, entry):
                return {key: float(row[key]) for key in _COSTS if row[key]}
        return {}

    def seconds(self, study: str, entry: str) -> float | None:
        """Give the time of a training: its steps by the time of a step.

        None if the time of a step was not measured, or the budget does not
        count steps.
        """
        step = self.cost(study, entry).get('step')
        for row in self.runs:
            if (row['study'], row['entry']) == (study, entry):
                steps = row['budget'].removesuffix('it')
                if step and steps.isdecimal():
                    return step * int(steps)
        return None

    def values(
        self, study: str, data: str, entry: str, figure: str
    ) -> dict[int, float]:
        """Give a figure of each seed."""
        key = study, data, entry
        return {
            int(row['seed']): float(row[figure])
            for row in self.runs
            if (row['study'], row['data'], row['entry']) == key and row[figure]
        }

    def difference(
        self,
        study: str,
        data: str,
        entry: str,
        figure: str,
        reference: str | None = None,
    ) -> tuple[float, float | None] | None:
        """Compare an entry with the reference, paired over the seeds.

        Args:
            study: the study.
            data: the data set.
            entry: the entry.
            figure: the figure.
            reference: another entry; None stands for the first one.

        Returns:
            The mean difference and half its interval of 95 %, which is None
            for one seed; None for the reference, or without common seeds.
        """
        reference = reference or self.entries(study)[0]
        a = self.values(study, data, entry, figure)
        b = self.values(study, data, reference, figure)
        apart = [a[seed] - b[seed] for seed in a if seed in b]
        if entry == reference or not apart:
            return None
        return interval(apart)


def read_evidence(folder: Path) -> Evidence:
    """Read both files; a file that does not exist has no rows.

    Raises:
        ValueError: a file has other columns.
    """
    return Evidence(*(_read(folder / name) for name in _HEADS))


def _read(file: Path) -> list[Row]:
    if not file.exists():
        return []
    with file.open(newline='') as stream:
        reader = csv.DictReader(stream)
        rows = [*reader]
    if tuple(reader.fieldnames or ()) != _HEADS[file.name]:
        raise UserValueError(
            f'{file}: found the columns {reader.fieldnames}, expected '
            f'{[*_HEADS[file.name]]}'
        )
    return rows


def add_battle(battle: Path, study: str, folder: Path) -> int:
    """Take the runs of a battle into the files; give their number.

    An entry without a run that has ended is left out.

    Args:
        battle: the folder of the battle.
        study: the study that it belongs to.
        folder: the folder of the files.

    Raises:
        ValueError: the folder holds no battle.
    """
    results = collect(battle)
    budget = results.manifest['identity']['budget']
    runs, costs = [], []
    ended = {name for (_, name), one in results.results.items() if one.seeds}
    for name in results.entries:
        if name not in ended:
            continue
        cost = results.costs.get(name)
        found = {key: cost and getattr(cost, key) for key in _COSTS}
        costs.append(dict(study=study, entry=name, **found))
    for (data, name), one in results.results.items():
        for seed, figures in one.seeds.items():
            row = dict(study=study, data=data, entry=name, seed=seed)
            row |= dict(rate=f'{one.lr:g}', budget=budget)
            row |= {
                key: None if value is None else f'{value:.4f}'
                for key in _FIGURES
                for value in [figures.figures.get(key)]
            }
            runs.append(row)
    for name, keys, rows in (
        ('runs.csv', _RUN, runs),
        ('costs.csv', _COST, costs),
    ):
        _merge(folder / name, keys, rows)
    return len(runs)


def _merge(file: Path, keys: Sequence[str], rows: Sequence[Mapping]) -> None:
    """Replace rows of the same keys where they stand, and append others."""
    texts = (
        {k: '' if v is None else str(v) for k, v in row.items()}
        for row in rows
    )
    found = {tuple(row[key] for key in keys): row for row in _read(file)}
    found |= {tuple(row[key] for key in keys): row for row in texts}
    head = _HEADS[file.name]
    lines = [
        head,
        *(tuple(row[key] for key in head) for row in found.values()),
    ]
    file.parent.mkdir(parents=True, exist_ok=True)
    text = StringIO()
    csv.writer(text, lineterminator='\n').writerows(lines)
    write_whole(file, text.getvalue().encode())
