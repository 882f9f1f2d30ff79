r"""Average the weights of several checkpoints of one model equally.

Counters such as num_batches_tracked come from the last file. The optimizer
and the schedule are left out.

Examples:
  cbnet average-checkpoints \
      work_dirs/dual_r50/epoch_{9..12}.pth --out averaged.pth
  cbnet average-checkpoints --take trained \
      work_dirs/dual_swin_b_htc_swa/epoch_{7..12}.pth --out last_six.pth
"""

from argparse import Namespace
from pathlib import Path

from ..checkpoints.averaging import KINDS, average_checkpoints
from ..checkpoints.weight_files import write_weights
from ..config_files import find_config, read_config
from ..engine.checkpoint_fit import check_fit
from ..models.building import build_without_weights
from .command_line import refuse_output
from .command_parser import CommandParser
from .publish import record


def make_parser() -> CommandParser:
    """Describe the command line."""
    parser = CommandParser(
        __name__, __doc__, 'FILE.pth FILE.pth ... --out OUT.pth'
    )
    parser.option(
        'files FILE.pth ...', 'checkpoints of one model, two or more', Path
    )
    parser.option('--out OUT.pth', 'the file to write', Path, required=True)
    parser.option(
        '--take',
        'the weights to take from files of a run with an averaging hook '
        '(SWA, EMA): the averages, which are their state_dict, or the weights '
        'that were trained',
        choices=KINDS,
    )
    parser.option(
        '--config CONFIG',
        'the config of the model; what its detector computes from a fixed '
        'image is then recorded for --verify',
    )
    return parser


def run(args: Namespace) -> None:
    """Average and write."""
    refuse_output('--out', args.out, args.files, 'one of the files')
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
