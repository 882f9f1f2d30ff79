"""Plan a battle: check everything before anything is trained."""

from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ..battle.configs import PROTOCOLS, Settings, entry_config, on_data
from ..battle.corruptions import Condition, check_sizes, read_conditions
from ..battle.data import find_data
from ..battle.entry_lists import read_entries
from ..battle.manifest import (
    check_folder,
    described,
    identity_of,
    joined,
    write_manifest,
)
from ..errors import UserValueError
from .battle_checks import (
    check_devices,
    check_reference,
    check_weights,
)
from .battle_contests import Contest, Layout, steps_of
from .battle_costs import Measured, expanded
from .run_lock import locked
from .study_configs import check_configs, write_configs

# The folder and the data may move and the number of loaders may change: the
# manifest holds a fingerprint of the data.
_FREE = {
    'ann_file', 'data_prefix', 'data_root',
    'num_workers', 'persistent_workers', 'prefetch_factor',
}  # fmt: skip


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

    @property
    def at_once(self) -> int:
        """The number of trainings that can run at the same time at most.

        The seeds of a contest wait until its rate is chosen.
        """
        return len(self.contests) * max(len(self.lrs), len(self.seeds))


def make_plan(args: Namespace) -> Plan:
    """Check everything, measure the costs, and write the configs.

    Nothing is written before everything is known to be right. A dry run, and
    a budget that is refused, only keep what was measured.

    Raises:
        ValueError: an option, an entry or the data are wrong, or the folder
            holds another battle.
    """
    check_devices(args.devices)
    if args.devices:
        torch.cuda.set_device(int(args.devices[0]))  # it measures the costs
    conditions = read_conditions(args.corruptions, args.severities)
    settings = read_settings(args)
    identity = identity_of(settings, args.budget.text)
    known = check_folder(args.out, identity)
    texts = expanded(args, settings)
    entries = read_entries(args.entries, texts)
    names = [one.name for one in entries]
    check_reference(args.reference, [*names, *known.get('entries', ())])
    configs = {one.name: entry_config(one, settings) for one in entries}
    datas = find_data(args.data_root, args.out / 'data')
    for data in datas:
        if conditions:
            check_sizes(data)
        for name, cfg in configs.items():
            on_data(cfg, data.as_found(), 'test', 2, settings)
            if args.budget.kind != 'seconds':
                steps_of(args, data, name, None)
    added = described(entries, configs, datas) | dict(reference=args.reference)
    manifest = joined(args.out, identity, **added)
    if not args.dry_run:
        for name, cfg in configs.items():
            check_weights(name, cfg)
    measured = Measured(args, settings, manifest, datas[0])
    costs = measured.costs(configs)
    layout = Layout(args, settings, configs, bool(conditions))
    try:
        contests, files = layout.contests(entries, datas, costs)
    except UserValueError:
        if args.timed:  # the budget that the error names suits these alone
            measured.keep_for_later(costs, texts)
        raise
    with locked(args.out, wait=True):
        # Another process may have added to the battle meanwhile.
        if costs != (costs := measured.settled(costs)):
            contests, files = layout.contests(entries, datas, costs)
        lrs = rates(args, check_folder(args.out, identity))
        manifest = joined(args.out, identity, lrs=lrs, **added)
        check_configs(files, args.out / 'configs', '--out', _FREE)
        if args.dry_run:
            measured.keep_for_later(costs, texts)
        else:
            # From here on the folder is that of this battle.
            write_manifest(args.out, manifest)
            write_configs(files, args.out / 'configs')
            measured.keep(costs, texts)
            for data in datas:
                data.write()
    seeds = tuple(range(args.seeds))
    return Plan(tuple(contests), tuple(manifest['lrs']), seeds, conditions)


def rates(args: Namespace, known: Mapping[str, Any]) -> list[float]:
    """Give the rates of a call; by default those of the calls before it."""
    default = known.get('lrs') or PROTOCOLS[args.protocol].lrs
    return [*(args.lrs or default)]


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
        args.warm_up,
    )
