"""Measure what the entries of a battle cost, once."""

import json
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from mmengine.config import Config
from mmengine.runner import set_random_seed

from ..atomic_files import write_whole
from ..battle.configs import Settings, entry_config, image_shape, on_data
from ..battle.costs import (
    EntryCost,
    device_name,
    measure_entry,
    read_costs,
    write_costs,
)
from ..battle.data import BattleData
from ..battle.dry_runs import keep_measured, read_measured
from ..battle.entries import read_entry
from ..battle.entry_lists import computed_presets
from ..battle.equal_cost import equal_cost
from ..battle.manifest import identity_of
from ..errors import UserValueError
from .study_configs import build_loader

_TEXTS = 'equal_cost.json'


def expanded(args: Namespace, settings: Settings) -> dict[str, list[str]]:
    """Give the entries behind each computed preset of ``--entries``.

    They are measured once: a second measurement might find others.
    """
    depends = dict.fromkeys(
        computed_presets(args.entries), measured_for(settings)
    )
    known = read_measured(args.out, depends) | _read_texts(args.out)

    def measured(one: str) -> EntryCost:
        print(f'measuring {one}, to find entries of equal cost', flush=True)
        cfg = entry_config(read_entry(one), settings)
        return measure_entry(cfg, image_shape(cfg, settings), None, args.timed)

    return {
        text: known.get(text) or [*equal_cost(text, measured)]
        for text in depends
    }


def _read_texts(folder: Path) -> dict[str, list[str]]:
    file = folder / _TEXTS
    return json.loads(file.read_text()) if file.exists() else {}


def measured_for(settings: Settings) -> dict[str, Any]:
    """Give what all measurements depend on: the protocol and the device."""
    return dict(settings=identity_of(settings, ''), device=device_name())


@dataclass(frozen=True)
class Measured:
    """The costs of the entries of a call.

    Attributes:
        args: the options of the command.
        settings: the protocol.
        manifest: the manifest with the entries of this call.
        data: a data set, which gives a batch.
    """

    args: Namespace
    settings: Settings
    manifest: Mapping[str, Any]
    data: BattleData

    def costs(self, configs: Mapping[str, Config]) -> dict[str, EntryCost]:
        """Measure what entries cost, unless an earlier call has done so.

        If this is interrupted, a later call need not measure them again.

        Raises:
            ValueError: those of an earlier call are of another device.
        """
        known, batch = self._from_dry_runs([*configs]), None
        known |= (kept := read_costs(self.args.out))
        wanted = [
            name for name in configs if not self._stands(known.get(name))
        ]
        if wanted and self.args.timed:
            self._check_device(wanted[0], kept)
        found: dict[str, EntryCost] = {}
        try:
            for number, name in enumerate(wanted, start=1):
                text = f'[{number} of {len(wanted)}] measuring {name}'
                print(text, flush=True)
                cfg = configs[name]
                if self.args.timed and batch is None:
                    batch = first_batch(cfg, self.data, self.settings)
                shape = image_shape(cfg, self.settings)
                cfg = on_data(cfg, self.data, 'test', 2, self.settings)
                found[name] = measure_entry(cfg, shape, batch, self.args.timed)
                if torch.cuda.is_available():
                    torch.cuda.empty_cache()
        except KeyboardInterrupt:
            if found:
                self.keep_for_later(found, {})
            raise
        known |= found
        return {name: known[name] for name in configs}

    def _check_device(self, name: str, kept: Mapping[str, EntryCost]) -> None:
        """Refuse to measure an entry on another device than the others."""
        now = device_name()
        for other, cost in kept.items():
            if cost.device not in (None, now):
                raise UserValueError(
                    f'--out {self.args.out}: the cost of {other!r} was '
                    f'measured on {cost.device!r}, and that of {name!r} would '
                    f'be measured on {now!r}, so that they could not be '
                    f'compared; add it on such a device, or give it another '
                    f'--out'
                )

    def _stands(self, cost: EntryCost | None) -> bool:
        """Tell whether an earlier measurement is good enough."""
        if cost is None or (self.args.retry_failed and cost.failed):
            return False
        return bool(cost.step or cost.failed or not self.args.timed)

    def _from_dry_runs(self, names: list[str]) -> dict[str, EntryCost]:
        found = read_measured(self.args.out, self._depends(names))
        return {name: EntryCost(**cost) for name, cost in found.items()}

    def _depends(self, names: list[str]) -> dict[str, Any]:
        common = measured_for(self.settings)
        common['data'] = self.data.fingerprint
        entries = self.manifest['entries']
        return {name: common | dict(entry=entries[name]) for name in names}

    def settled(self, costs: Mapping[str, EntryCost]) -> dict[str, EntryCost]:
        """Take over what another process has measured and kept meanwhile.

        The steps of a time budget follow from one measurement.
        """
        known = read_costs(self.args.out)
        return {
            name: known[name] if self._stands(known.get(name)) else cost
            for name, cost in costs.items()
        }

    def keep(
        self,
        costs: Mapping[str, EntryCost],
        texts: Mapping[str, list[str]],
    ) -> None:
        """Keep the costs, and what presets that are measured stood for."""
        folder = self.args.out
        write_costs(read_costs(folder) | costs, folder)
        if kept := self._complete(texts):
            content = json.dumps(_read_texts(folder) | kept, indent=1)
            write_whole(folder / _TEXTS, content.encode())

    def _complete(
        self, texts: Mapping[str, list[str]]
    ) -> Mapping[str, list[str]]:
        """Leave out lists without the entries of equal latency."""
        return texts if self.args.timed else {}

    def keep_for_later(
        self,
        costs: Mapping[str, EntryCost],
        texts: Mapping[str, list[str]],
    ) -> None:
        """Keep the same for a later call, but not as part of the battle."""
        kept = self._complete(texts)
        depends = dict.fromkeys(kept, measured_for(self.settings))
        depends |= self._depends([*costs])
        found = {name: vars(cost) for name, cost in costs.items()}
        keep_measured(self.args.out, depends, kept | found)


def first_batch(cfg: Config, data: BattleData, settings: Settings) -> dict:
    """Load a batch of the training data, which are not written yet.

    It is the same in every call, because the sizes of images may be random.
    """
    set_random_seed(0)
    with TemporaryDirectory() as folder:
        copy = data.moved(Path(folder))
        copy.write()
        cfg = on_data(cfg, copy, 'test', 2, settings)
        return next(iter(build_loader(cfg.train_dataloader)))
