r"""Write a trained checkpoint for others: its weights and a fingerprint.

What only training needs is left out: the optimizer, the schedule, the logs
and the config text. With CONFIG, the weights must fit its detector, and what
the detector computes from a fixed image is recorded; `cbnet test --verify` and
`cbnet infer --verify` compare it. As in other model zoos, the name of the
file ends with the first eight digits of its SHA-256.

Examples:
  cbnet publish work_dirs/dual_r50/epoch_12.pth configs/cbnet/dual_r50.py \
      --out dual_r50.pth
  cbnet publish work_dirs/dual_swin_b_htc_swa/epoch_12.pth \
      cbnet::cbnet/dual_swin_b_htc_swa.py --out released/dual_swin_b_swa.pth
"""

from pathlib import Path

from ..argument_types import new_file
from ..command_parser import CommandParser


def make_parser() -> CommandParser:
    """Describe the command line."""
    parser = CommandParser(
        __name__, __doc__, 'CHECKPOINT [CONFIG] --out FILE.pth'
    )
    parser.option('checkpoint', 'the trained checkpoint', Path)
    parser.option(
        'config',
        'the config of the detector; without it, the fingerprint covers only '
        'the weights and the names of the classes',
        nargs='?',
    )
    parser.option(
        '--out FILE.pth',
        'the file to write; the digits are added to its name',
        new_file(),
        required=True,
    )
    return parser
