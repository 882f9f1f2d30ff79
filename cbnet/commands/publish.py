"""Write a trained checkpoint for others, as ``cbnet publish``."""

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path

from mmengine.config import Config
from torch import Tensor

from ..checkpoints.fingerprint import Recorded
from ..checkpoints.local_files import file_hash
from ..checkpoints.weight_files import (
    find_weights,
    kept_meta,
    read_file,
    write_weights,
)
from ..config_files import find_config, read_config
from ..engine.checkpoint_fit import check_fit
from ..engine.verification import record_detector
from ..messages import command, listed
from ..models.building import build_without_weights


def run(args: Namespace) -> None:
    """Publish one file and print each step."""
    cfg = None
    if args.config:
        cfg = read_config(find_config(args.config), args.config)
    written = publish(args.checkpoint, args.out, cfg, args.config)
    print(f'wrote {written}')
    if cfg:
        words = 'cbnet', 'test', args.config, written, '--verify'
        print(f'verify: {command(*words)}')


def publish(
    source: Path, out: Path, cfg: Config | None, config: str | None
) -> Path:
    """Write a checkpoint for others, and print what is in it.

    Args:
        source: the trained checkpoint.
        out: the file to write, without the digits of its hash.
        cfg: the config of the detector.
        config: the name of the config.

    Returns:
        The written file.

    Raises:
        UserError: the file cannot be read, or does not fit the config.
    """
    print(f'reading {source}', flush=True)
    file = read_file(source)
    weights = find_weights(file, str(source))
    meta, outputs = kept_meta(file, source), None
    if cfg:
        model = build_without_weights(cfg)
        print(check_fit(file, model, str(source), complete=True))
        outputs = record(cfg, weights)
        meta['config'] = Path(config).name
    if 'state_dict' in file:
        left = [str(key) for key in file if key not in ('state_dict', 'meta')]
        print(f'left out: {listed(left) or "nothing"}')
    unnamed = out.with_stem(f'{out.stem}-unfinished')
    write_weights(unnamed, weights, meta, outputs)
    named = out.with_stem(f'{out.stem}-{file_hash(unnamed)[:8]}')
    unnamed.replace(named)
    return named


def record(cfg: Config, weights: Mapping[str, Tensor]) -> Recorded:
    """Record the outputs of a detector for a fingerprint, and say so."""
    outputs = record_detector(cfg, weights)
    left = {n: text for n, text in outputs.items() if isinstance(text, str)}
    print(f'fingerprint: {len(outputs) - len(left)} outputs on a fixed image')
    for name, reason in left.items():
        print(f'  not recorded: {name}, {reason}')
    return outputs
