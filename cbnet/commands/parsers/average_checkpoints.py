r"""Average the weights of several checkpoints of one model equally.

Counters such as num_batches_tracked come from the last file. The optimizer
and the schedule are left out.

Examples:
  cbnet average-checkpoints \
      work_dirs/dual_r50/epoch_{9..12}.pth --out averaged.pth
  cbnet average-checkpoints --take trained \
      work_dirs/dual_swin_b_htc_swa/epoch_{7..12}.pth --out last_six.pth
"""

from pathlib import Path

from ..argument_types import new_file
from ..choices import KINDS
from ..command_parser import CommandParser


def make_parser() -> CommandParser:
    """Describe the command line."""
    parser = CommandParser(
        __name__, __doc__, 'FILE.pth FILE.pth ... --out OUT.pth'
    )
    parser.option(
        'files FILE.pth ...', 'checkpoints of one model, two or more', Path
    )
    parser.option(
        '--out OUT.pth', 'the file to write', new_file(), required=True
    )
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
