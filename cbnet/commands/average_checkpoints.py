"""Average the weights of several checkpoints of one model equally.

Counters such as num_batches_tracked come from the last file. The optimizer
and the schedule are left out.
"""

from collections.abc import Sequence
from pathlib import Path

from ..checkpoints.averaging import KINDS, average_checkpoints
from ..checkpoints.weight_files import write_weights
from .command_line import command_parser, errors_of_files, refuse_output

EXAMPLES = """examples:
  cbnet average-checkpoints \\
      work_dirs/dual_r50/epoch_{9..12}.pth --out averaged.pth
  cbnet average-checkpoints --take trained \\
      work_dirs/dual_swin_b_htc_swa/epoch_{7..12}.pth --out last_six.pth
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, average and write."""
    parser = command_parser(
        'average-checkpoints',
        'FILE.pth FILE.pth ... --out OUT.pth',
        __doc__,
        EXAMPLES,
    )
    parser.add_argument(
        'files',
        metavar='FILE.pth',
        nargs='+',
        type=Path,
        help='checkpoints of one model, two or more',
    )
    parser.add_argument(
        '--out',
        metavar='OUT.pth',
        type=Path,
        required=True,
        help='the file to write',
    )
    parser.add_argument(
        '--take',
        choices=KINDS,
        help='the weights to take from files of a run with an averaging hook '
        '(SWA, EMA): the averages, which are their state_dict, or the weights '
        'that were trained',
    )
    args = parser.parse_args(argv)
    refuse_output(parser, '--out', args.out, args.files, 'one of the files')
    print(f'averaging {len(args.files)} files', flush=True)
    with errors_of_files(parser):
        weights, meta = average_checkpoints(args.files, args.take)
        write_weights(args.out, weights, meta)
    print(f'average of {len(weights)} weights: {args.out}')
