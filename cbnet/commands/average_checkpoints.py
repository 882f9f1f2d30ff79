"""Average the weights of checkpoints, as ``cbnet average-checkpoints``."""

from argparse import Namespace

from ..checkpoints.averaging import average_checkpoints
from ..checkpoints.weight_files import write_weights
from ..config_files import find_config, read_config
from ..engine.checkpoint_fit import check_fit
from ..models.building import build_without_weights
from .publish import record


def run(args: Namespace) -> None:
    """Average and write."""
    print(f'averaging {len(args.files)} files', flush=True)
    weights, meta = average_checkpoints(args.files, args.take)
    outputs = None
    if args.config:
        cfg = read_config(find_config(args.config), args.config)
        model = build_without_weights(cfg)
        print(check_fit(weights, model, 'the average', complete=True))
        outputs = record(cfg, weights)
    write_weights(args.out, weights, meta, outputs)
    print(f'average of {len(weights)} weights: {args.out}')
