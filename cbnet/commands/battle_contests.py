"""The contests of a battle: the runs of an entry on a data set."""

from argparse import Namespace
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from ..battle.budgets import count_steps
from ..battle.configs import Settings, on_data
from ..battle.corruptions import corrupted_config
from ..battle.costs import EntryCost
from ..battle.data import BattleData
from ..battle.entries import Entry
from ..battle.run_folders import entry_folder
from ..errors import UserValueError


@dataclass(frozen=True)
class Contest:
    """The runs of one entry on one data set, whose rate is chosen first.

    Attributes:
        entry: the entry.
        data: the data set.
        config: its config, which evaluates the split of the figures.
        val_config: the same, which evaluates the split for choices.
        steps: the steps of a run.
        cost: what the entry costs.
        folder: the folder of its runs.
        corrupted_config: the config that evaluates corrupted images, if any.
    """

    entry: Entry
    data: BattleData
    config: str
    val_config: str
    steps: int
    cost: EntryCost
    folder: Path
    corrupted_config: str = ''


@dataclass(frozen=True)
class Layout:
    """Lays out what is trained, once the costs are known.

    Attributes:
        args: the options of the command.
        settings: the protocol.
        configs: what ``entry_config`` gives, by the name of the entry.
        corrupted: whether the trained models are tried on corrupted images.
    """

    args: Namespace
    settings: Settings
    configs: Mapping[str, Config]
    corrupted: bool

    def contests(
        self,
        entries: Iterable[Entry],
        datas: Iterable[BattleData],
        costs: Mapping[str, EntryCost],
    ) -> tuple[list[Contest], dict[str, str]]:
        """Give the contests, and the texts of their configs by file name.

        Raises:
            ValueError: see ``steps_of`` and ``corrupted_config``.
        """
        contests, files = [], {}
        for data in datas:
            for entry in entries:
                contest, texts = self._contest(entry, data, costs[entry.name])
                contests.append(contest)
                files |= texts
        return contests, files

    def _contest(
        self, entry: Entry, data: BattleData, cost: EntryCost
    ) -> tuple[Contest, dict[str, str]]:
        steps = steps_of(self.args, data, entry.name, cost)
        folder, start = (
            self.args.out / 'configs',
            f'{data.name}/{entry.folder}',
        )
        names = [f'{start}.py', f'{start}.val.py']
        if self.corrupted:
            names.append(f'{start}.corrupted.py')
        paths = [str(folder / name) for name in names]
        runs = entry_folder(self.args.out, data.name, entry.folder)
        contest = Contest(
            entry, data, *paths[:2], steps, cost, runs, *paths[2:]
        )
        if cost.failed:  # its steps may be unknown, and it is not trained
            return contest, {}
        made = [
            on_data(self.configs[entry.name], data, role, steps, self.settings)
            for role in ('test', 'val', 'test')[: len(names)]
        ]
        for cfg in made[2:]:
            corrupted_config(cfg, entry.name)
        texts = [cfg.pretty_text for cfg in made]
        return contest, dict(zip(names, texts, strict=True))


def steps_of(
    args: Namespace, data: BattleData, name: str, cost: EntryCost | None
) -> int:
    """Count the steps of an entry on a data set; 2 if it does not run.

    Raises:
        ValueError: they are less than an epoch, or the time of a step is not
            known.
    """
    if cost and cost.failed:
        return 2
    seconds = cost.step if cost else None
    if args.budget.kind == 'seconds' and seconds is None:
        raise UserValueError(
            f'--budget {args.budget.text} needs the time of a step of {name}, '
            f'which --timed 0 does not measure; give steps or epochs'
        )
    return count_steps(
        args.budget, data, args.batch_size, seconds or 1.0, name
    )
