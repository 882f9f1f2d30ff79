"""Plan a battle: check everything before anything is trained."""

from argparse import Namespace
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import MMLogger

from ..battle.budgets import count_steps
from ..battle.configs import PROTOCOLS, Settings, entry_config, on_data
from ..battle.corruptions import (
    Condition,
    check_sizes,
    corrupted_config,
    read_conditions,
)
from ..battle.costs import EntryCost
from ..battle.data import BattleData, find_data
from ..battle.entries import Entry
from ..battle.entry_lists import read_entries
from ..battle.manifest import check_folder, claim
from ..engine.verification import build_detector
from ..errors import UserValueError
from ..messages import did_you_mean
from .battle_costs import expanded, find_costs, keep_costs
from .study_configs import keep_configs


@dataclass(frozen=True)
class Contest:
    """The runs of one entry on one data set.

    Its rate is chosen first, so that they follow each other.

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
class Plan:
    """What a battle runs.

    Attributes:
        contests: the runs of each entry on each data set.
        lrs: the learning rates to choose from.
        seeds: the seeds of the runs with the chosen rate.
        conditions: the corruptions that the trained models are tried on.
    """

    contests: tuple[Contest, ...]
    lrs: tuple[float, ...]
    seeds: tuple[int, ...]
    conditions: tuple[Condition, ...] = ()

    @property
    def tried(self) -> int:
        """The evaluations of a contest on corrupted images."""
        return len(self.conditions) * len(self.seeds)

    @property
    def runs(self) -> int:
        """The trainings of a contest; one rate's first is also a seed's."""
        return len(self.lrs) - 1 + len(self.seeds)


def make_plan(args: Namespace) -> Plan:
    """Check everything, measure the costs, and write the configs.

    Nothing is written before everything is known to be right.

    Raises:
        ValueError: an option, an entry or the data are wrong, or the folder
            holds another battle.
    """
    if set(str(args.out)) & set(',[](){}'):
        raise UserValueError(
            f'--out {args.out}: commas and brackets would be read as lists; '
            f'name another folder'
        )
    conditions = read_conditions(args.corruptions, args.severities)
    settings = read_settings(args)
    identity = identity_of(args, settings)
    check_folder(args.out, identity)
    texts = expanded(args, settings)
    entries = read_entries(args.entries, texts)
    check_reference(args.reference, [one.name for one in entries])
    configs = {one.name: entry_config(one, settings) for one in entries}
    datas = find_data(args.data_root, args.out / 'data')
    for data in datas:
        if conditions:
            check_sizes(data)
        for name, cfg in configs.items():
            on_data(cfg, data.as_found(), 'test', 2, settings)
            if args.budget.kind != 'seconds':
                steps_of(args, data, name, None)
    if not args.dry_run:
        for name, cfg in configs.items():
            check_weights(name, cfg)
    costs = find_costs(args, settings, configs, datas[0])
    contests, files = [], {}
    for data in datas:
        for entry in entries:
            cost = costs[entry.name]
            steps = steps_of(args, data, entry.name, cost)
            names = [f'{data.name}/{entry.folder}{s}.py' for s in ('', '.val')]
            for name, role in zip(names, ('test', 'val'), strict=True):
                cfg = on_data(configs[entry.name], data, role, steps, settings)
                files[name] = cfg.pretty_text
            paths = [str(args.out / 'configs' / name) for name in names]
            runs = args.out / 'runs' / data.name / entry.folder
            contest = Contest(entry, data, *paths, steps, cost, runs)
            if conditions:
                name = f'{data.name}/{entry.folder}.corrupted.py'
                cfg = on_data(
                    configs[entry.name], data, 'test', steps, settings
                )
                files[name] = corrupted_config(cfg, entry.name).pretty_text
                path = str(args.out / 'configs' / name)
                contest = replace(contest, corrupted_config=path)
            contests.append(contest)
    # From here on the folder is that of this battle.
    claim(args.out, identity, **described(entries, datas))
    keep_configs(files, args.out / 'configs', '--out')
    keep_costs(costs, texts if args.timed else {}, args.out)
    for data in datas:
        data.write()
    lrs = dict.fromkeys(args.lrs or PROTOCOLS[args.protocol].lrs)
    seeds = tuple(range(args.seeds))
    return Plan(tuple(contests), tuple(lrs), seeds, conditions)


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


def read_settings(args: Namespace) -> Settings:
    """Put the options of the protocol together."""
    return Settings(
        args.protocol,
        args.head or PROTOCOLS[args.protocol].head,
        args.scale,
        args.batch_size,
        args.accumulate,
        args.workers,
        args.amp,
    )


def check_reference(name: str | None, names: list[str]) -> None:
    """Refuse a reference that does not take part.

    Raises:
        ValueError: names near ones.
    """
    if name is not None and name not in names:
        raise UserValueError(
            f'--reference {name!r} is no entry{did_you_mean(name, names)}'
        )


def identity_of(args: Namespace, settings: Settings) -> dict[str, Any]:
    """Give what must not change while runs are added."""
    kept = asdict(settings)
    kept.pop('workers')
    return kept | dict(budget=args.budget.text)


def described(
    entries: list[Entry], datas: list[BattleData]
) -> dict[str, dict[str, Any]]:
    """Describe what may be added to a battle, by name."""
    return dict(
        entries={
            one.name: dict(
                members=[asdict(member) for member in one.members],
                options=asdict(one.options),
                changes=dict(one.changes),
                folder=one.folder,
            )
            for one in entries
        },
        data={
            one.name: dict(
                fingerprint=one.fingerprint,
                note=one.note,
                images={role: one.images(role) for role in one.splits},
                classes=one.splits['train'].classes,
            )
            for one in datas
        },
    )


def check_weights(name: str, cfg: Config) -> None:
    """Load the files of all members once.

    Raises:
        ValueError: a file is missing, or of another architecture.
    """
    backbone = build_detector(cfg, {}).backbone
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel('WARNING')  # the log of each run lists all parameters
    try:
        backbone.init_weights()
    except (OSError, ValueError) as error:
        raise UserValueError(f'--entries {name!r}: {error}') from error
    finally:
        logger.setLevel(level)
