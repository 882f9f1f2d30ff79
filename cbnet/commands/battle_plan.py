"""Plan a battle: check everything before anything is trained."""

import json
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger

from ..atomic_files import write_whole
from ..battle.budgets import count_steps
from ..battle.configs import (
    PROTOCOLS,
    Settings,
    entry_config,
    image_shape,
    on_data,
)
from ..battle.costs import EntryCost, measure_entry, read_costs, write_costs
from ..battle.data import BattleData, find_data
from ..battle.entries import Entry, read_entries, read_entry
from ..battle.equal_cost import equal_cost
from ..battle.manifest import check_folder, claim
from ..battle.presets import EQUAL_COST
from ..engine.verification import build_detector
from ..errors import UserValueError
from ..messages import did_you_mean
from .study_configs import build_loader, keep_configs

_TEXTS = 'equal_cost.json'


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
    """

    entry: Entry
    data: BattleData
    config: str
    val_config: str
    steps: int
    cost: EntryCost
    folder: Path


@dataclass(frozen=True)
class Plan:
    """What a battle runs.

    Attributes:
        contests: the runs of each entry on each data set.
        lrs: the learning rates to choose from.
        seeds: the seeds of the runs with the chosen rate.
    """

    contests: tuple[Contest, ...]
    lrs: tuple[float, ...]
    seeds: tuple[int, ...]

    @property
    def runs(self) -> int:
        """The trainings of a contest; one rate's first is also a seed's."""
        return len(self.lrs) - 1 + len(self.seeds)


def make_plan(args: Namespace) -> Plan:
    """Write the configs of a battle into its folder, and measure the costs.

    Raises:
        ValueError: an option, an entry or the data are wrong, or the folder
            holds another battle.
    """
    if set(str(args.out)) & set(',[](){}'):
        raise UserValueError(
            f'--out {args.out}: commas and brackets would be read as lists; '
            f'name another folder'
        )
    settings = read_settings(args)
    texts = expanded(args, settings)
    entries = read_entries([one for text in texts.values() for one in text])
    check_reference(args.reference, [one.name for one in entries])
    identity = identity_of(args, settings)
    check_folder(args.out, identity)
    configs = {one.name: entry_config(one, settings) for one in entries}
    datas = find_data(args.data_root, args.out / 'data')
    claim(args.out, identity, **described(entries, datas))
    for data in datas:
        data.write()
    keep_texts(texts, args.out)
    costs = find_costs(args, settings, configs, datas[0])
    if not args.dry_run:
        for name, cfg in configs.items():
            check_weights(name, cfg)
    contests = []
    for data in datas:
        for entry in entries:
            contest = plan_contest(
                args, settings, entry, data, configs[entry.name], costs
            )
            contests.append(contest)
    lrs = dict.fromkeys(args.lrs or PROTOCOLS[args.protocol].lrs)
    return Plan(tuple(contests), tuple(lrs), tuple(range(args.seeds)))


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


def expanded(args: Namespace, settings: Settings) -> dict[str, list[str]]:
    """Give the entries behind each text of ``--entries``.

    Those of equal cost are measured once: a second measurement might find
    others.
    """
    file = args.out / _TEXTS
    known = json.loads(file.read_text()) if file.exists() else {}
    found = {}

    def measured(one: str) -> EntryCost:
        print(f'measuring {one}, to find entries of equal cost', flush=True)
        cfg = entry_config(read_entry(one), settings)
        return measure_entry(cfg, image_shape(cfg, settings), None, args.timed)

    for text in args.entries:
        if not text.startswith(EQUAL_COST):
            found[text] = found.get(text, []) + [text]
            continue

        found[text] = known.get(text) or [*equal_cost(text, measured)]
    return found


def keep_texts(texts: Mapping[str, list[str]], folder: Path) -> None:
    """Keep what presets that are measured stood for."""
    file = folder / _TEXTS
    kept = {k: v for k, v in texts.items() if k.startswith(EQUAL_COST)}
    if kept:
        known = json.loads(file.read_text()) if file.exists() else {}
        write_whole(file, json.dumps(known | kept, indent=1).encode())


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


def find_costs(
    args: Namespace,
    settings: Settings,
    configs: Mapping[str, Config],
    data: BattleData,
) -> dict[str, EntryCost]:
    """Measure what entries cost, unless an earlier call has done so."""
    known = read_costs(args.out)
    batch = None
    for number, (name, cfg) in enumerate(configs.items(), start=1):
        if name in known and (known[name].step or not args.timed):
            continue
        print(f'[{number} of {len(configs)}] measuring {name}', flush=True)
        cfg = on_data(cfg, data, 'test', 2, settings)
        if args.timed and batch is None:
            batch = next(iter(build_loader(cfg.train_dataloader)))
        shape = image_shape(cfg, settings)
        known[name] = measure_entry(cfg, shape, batch, args.timed)
        write_costs(known, args.out)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    return {name: known[name] for name in configs}


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


def plan_contest(
    args: Namespace,
    settings: Settings,
    entry: Entry,
    data: BattleData,
    cfg: Config,
    costs: Mapping[str, EntryCost],
) -> Contest:
    """Count the steps of an entry on a data set, and write its configs."""
    cost = costs[entry.name]
    if args.budget.kind == 'seconds' and cost.step is None:
        raise UserValueError(
            f'--budget {args.budget.text} needs the time of a step of '
            f'{entry.name}, which was not measured '
            f'({cost.failed or "--timed 0"}); give steps or epochs'
        )
    steps = count_steps(
        args.budget,
        data,
        settings.batch_size,
        cost.step or 1.0,
        entry.name,
    )
    texts = {
        f'{entry.folder}{suffix}.py': on_data(
            cfg, data, role, steps, settings
        ).pretty_text
        for suffix, role in (('', 'test'), ('.val', 'val'))
    }
    folder = args.out / 'configs' / data.name
    paths = [*keep_configs(texts, folder, '--out').values()]
    runs = args.out / 'runs' / data.name / entry.folder
    return Contest(entry, data, *paths, steps, cost, runs)
