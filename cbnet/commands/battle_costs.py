"""Measure what the entries of a battle cost, once."""

import json
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from mmengine.config import Config

from ..atomic_files import write_whole
from ..battle.configs import Settings, entry_config, image_shape, on_data
from ..battle.costs import EntryCost, measure_entry, read_costs, write_costs
from ..battle.data import BattleData
from ..battle.entries import read_entry
from ..battle.entry_lists import computed_presets
from ..battle.equal_cost import equal_cost
from .study_configs import build_loader

_TEXTS = 'equal_cost.json'


def expanded(args: Namespace, settings: Settings) -> dict[str, list[str]]:
    """Give the entries behind each computed preset of ``--entries``.

    They are measured once: a second measurement might find others.
    """
    file = args.out / _TEXTS
    known = json.loads(file.read_text()) if file.exists() else {}

    def measured(one: str) -> EntryCost:
        print(f'measuring {one}, to find entries of equal cost', flush=True)
        cfg = entry_config(read_entry(one), settings)
        return measure_entry(cfg, image_shape(cfg, settings), None, args.timed)

    return {
        text: known.get(text) or [*equal_cost(text, measured)]
        for text in computed_presets(args.entries)
    }


def find_costs(
    args: Namespace,
    settings: Settings,
    configs: Mapping[str, Config],
    data: BattleData,
) -> dict[str, EntryCost]:
    """Measure what entries cost, unless an earlier call has done so."""
    known, batch = read_costs(args.out), None
    for number, (name, cfg) in enumerate(configs.items(), start=1):
        if name in known and not (args.retry_failed and known[name].failed):
            if known[name].step or known[name].failed or not args.timed:
                continue
        print(f'[{number} of {len(configs)}] measuring {name}', flush=True)
        if args.timed and batch is None:
            batch = first_batch(cfg, data, settings)
        shape = image_shape(cfg, settings)
        cfg = on_data(cfg, data, 'test', 2, settings)
        known[name] = measure_entry(cfg, shape, batch, args.timed)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    return {name: known[name] for name in configs}


def first_batch(cfg: Config, data: BattleData, settings: Settings) -> dict:
    """Load a batch of the training data, which are not written yet."""
    with TemporaryDirectory() as folder:
        copy = data.moved(Path(folder))
        copy.write()
        cfg = on_data(cfg, copy, 'test', 2, settings)
        return next(iter(build_loader(cfg.train_dataloader)))


def keep_costs(
    costs: Mapping[str, EntryCost],
    texts: Mapping[str, list[str]],
    folder: Path,
) -> None:
    """Keep the costs, and what presets that are measured stood for.

    Args:
        costs: the costs of the entries.
        texts: what ``expanded`` gives, if latencies were measured; without
            them, the entries of equal latency are missing.
        folder: the folder of the battle.
    """
    write_costs(read_costs(folder) | costs, folder)
    if texts:
        file = folder / _TEXTS
        known = json.loads(file.read_text()) if file.exists() else {}
        write_whole(file, json.dumps(known | texts, indent=1).encode())
