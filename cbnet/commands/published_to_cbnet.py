"""Convert a published checkpoint, as ``cbnet published-to-cbnet``."""

from argparse import Namespace
from collections import Counter
from pathlib import Path

from torch import Tensor

from ..checkpoints.weight_files import kept_meta, read_file, write_weights
from ..config_files import find_config, read_config
from ..converters.published_detector import (
    convert_detector,
    published_weights,
)
from ..converters.published_models import PublishedModel
from ..errors import UserValueError
from ..messages import command, listed
from .overrides import train_from
from .publish import record

CONFIGS = find_config('cbnet::cbnet/quickstart.py').resolve().parent


def run(args: Namespace) -> None:
    """Convert one file and print each step."""
    print(f'reading {args.source}', flush=True)
    file = read_file(args.source)
    weights, found = published_weights(file)
    print(f'model: {found}')
    config = choose_config(args.config, found)
    print(f'config: {config}', flush=True)
    cfg = read_config(find_config(config), config)
    if not (cfg.get('model') or {}).get('backbone'):
        raise UserValueError(
            f'--config: {config} has no model with a backbone'
        )
    converted = convert_detector(weights, found, cfg, config)
    left = [key for key in file if key not in ('state_dict', 'meta')]
    if left and 'state_dict' in file:
        print(f'left out: {", ".join(map(str, left))}')
    print(f'converted: {count_parts(converted.weights)}')
    print(describe('permuted', converted.permuted))
    print(describe('dropped, nothing reads them', converted.dropped, 99))
    print(converted.report)
    meta = kept_meta(file, args.source)
    meta |= dict(model=str(found), config=Path(config).name)
    outputs = None
    if found.detector is not None:
        outputs = record(cfg, converted.weights)
    write_weights(args.out, converted.weights, meta, outputs)
    print(f'wrote {args.out}')
    if found.detector is None:
        print(
            'the file has no neck and no heads and cannot be evaluated; '
            f'start training from it:\n  {train_from(config, args.out)}'
        )
    else:
        print(f'evaluate: {command("cbnet", "test", config, args.out)}')


def choose_config(given: str | None, found: PublishedModel) -> str:
    """Return the given config, or else that of the published model.

    Raises:
        ValueError: no config is given and the model has none.
    """
    if given:
        return given
    if found.config is None:
        raise UserValueError(
            f'configs/cbnet has no config of {found}; give its config with '
            f'--config'
        )
    path = CONFIGS / f'{found.config}.py'
    near = path.is_relative_to(Path.cwd())
    return str(path.relative_to(Path.cwd()) if near else path)


def count_parts(weights: dict[str, Tensor]) -> str:
    """Count the entries of the backbone, neck and heads."""
    parts = Counter(name.partition('.')[0] for name in weights)
    each = ', '.join(f'{part} {count}' for part, count in parts.items())
    return f'{len(weights)} entries ({each})'


def describe(what: str, names: list[str], most: int = 4) -> str:
    """Count entries and name at most ``most`` of them, in one line."""
    shown = f' ({listed(names, most)})' if names else ''
    return f'{what}: {len(names)}{shown}'
