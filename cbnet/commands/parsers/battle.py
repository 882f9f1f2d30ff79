r"""Find out which backbone to take, single or composite, on your own data.

Every entry is trained by one protocol on every data set, from several seeds:
the learning rate is chosen on one split, and the figures are measured on
another one, which no choice has seen. After an interruption, the same command
continues; more --entries, --seeds or data sets add to the tables in --out.

Examples:
  cbnet battle --data-root data/mine data/other --entries resnet50 \
      convnext_tiny "2x resnet50" "frozen:convnext_tiny@0.5 + convnext_tiny" \
      --head mask-rcnn --budget 30min --seeds 3 --lrs 1e-4 3e-4 --out battle
  cbnet battle --data-root data/mine --entries small --head mask-rcnn-small \
      --scale 320,240 --budget 1000it --out battle
  cbnet battle --data-root data/mine --entries study --protocol study \
      --out battle --dry-run --price-per-hour 2.5

docs/battle.md explains entries, protocols and the report.
"""

from argparse import ArgumentTypeError
from pathlib import Path

from ...battle.budgets import Budget, read_budget
from ...errors import UserValueError
from ..argument_types import (
    at_least,
    fraction,
    new_file,
    new_folder,
    scale,
    share,
)
from ..choices import CORRUPTIONS, HEADS, PROTOCOLS
from ..command_parser import CommandParser


def make_parser() -> CommandParser:
    """Describe the command line."""
    parser = CommandParser(
        __name__, __doc__, '--data-root DIR --entries NAME --out DIR'
    )
    parser.option(
        '--data-root DIR ...',
        'the folders of the data sets, in COCO format',
        Path,
        required=True,
    )
    parser.option(
        '--entries ENTRY ...',
        'what takes part: backbones ("resnet50"), composites ("2x resnet50", '
        '"frozen:A@0.5 + B", "A=weights.pth"), presets (small, study, '
        'equal-cost:NAME) and YAML files with lists of them',
        required=True,
    )
    parser.option(
        '--out DIR', 'the folder for all runs and the report', new_folder,
        required=True,
    )  # fmt: skip
    parser.option(
        '--reference ENTRY',
        'the entry that others are compared with (default: the first)',
    )
    add_protocol_options(parser)
    add_corruption_options(parser)
    add_run_options(parser)
    return parser


def add_protocol_options(parser: CommandParser) -> None:
    """Add what all entries share."""
    parser.section('the protocol', 'It is the same for all entries.')
    parser.option(
        '--protocol',
        "plain: this package's own; study: that of Battle of the Backbones",
        choices=list(PROTOCOLS),
        default='plain',
    )
    parser.option(
        '--head',
        "the detector (default: the protocol's)",
        choices=list(HEADS),
    )
    parser.option(
        '--budget N',
        'how long each run is trained: 2000it, 30min, 6ep, or 1x, which is '
        "12 epochs (default: the protocol's)",
        budget,
    )
    parser.option('--seeds N', 'the number of seeds', at_least(1), default=3)
    parser.option(
        '--lrs RATE ...',
        "the learning rates to choose from (default: the protocol's)",
        rate,
    )
    parser.option(
        '--warm-up SHARE',
        'the share of the steps in which the learning rate rises (default: '
        "0.1; the study's is 1000 steps at most)",
        warm_up,
    )
    parser.option(
        '--scale W,H',
        'the size of the images; the sizes of the protocol are scaled to it '
        '(320,240 for CPUs)',
        scale,
    )
    parser.option(
        '--batch-size N',
        'the number of images in a batch',
        at_least(1),
        default=2,
    )
    parser.option(
        '--accumulate N',
        'the number of batches whose gradients are added for each step of '
        'the optimizer',
        at_least(1),
        default=1,
    )
    parser.option(
        '--amp', 'train in mixed precision, also in the plain protocol'
    )


def add_corruption_options(parser: CommandParser) -> None:
    """Add how the trained models are tried on corrupted images."""
    parser.section(
        'corrupted images',
        'The trained models are evaluated on corrupted test images, too.\n'
        "  This needs: pip install 'cbnet[robustness]'",
    )
    parser.option(
        '--corruptions NAME ...',
        f'all, or some of: {", ".join(CORRUPTIONS)}',
    )
    parser.option(
        '--severities N ...',
        'the levels of the corruptions, from 1 to 5 (default: all)',
        at_least(1, 5),
    )


def add_run_options(parser: CommandParser) -> None:
    """Add how the runs are run."""
    parser.section('the runs', 'These change no result.')
    parser.option(
        '--dry-run',
        'show what the entries cost, and estimate the time and the money for '
        'all runs; train nothing',
    )
    parser.option('--price-per-hour PRICE', 'the price of a device', positive)
    parser.option(
        '--timed N',
        'the number of passes that are timed for each entry; 0: only count '
        'parameters and multiply-accumulates',
        at_least(0),
        default=10,
    )
    parser.option(
        '--devices N ...',
        'the numbers of the GPUs to use, one for each run at a time '
        '(default: the one that torch finds)',
        default=[],
    )
    parser.option(
        '--jobs N',
        'the number of runs at a time (default: one for each device)',
        at_least(1),
    )
    parser.option(
        '--workers N',
        'the number of processes that load the images of a run (default: '
        "the config's)",
        at_least(0),
    )
    parser.option(
        '--bootstrap N',
        'the number of samples of test images for the intervals',
        at_least(10),
        default=500,
    )
    parser.option('--retry-failed', 'try failed runs again')
    parser.exclusive()  # the script gives each of its jobs a share
    parser.option(
        '--only I/N', 'do share I of N of the runs, counted from 1', share
    )
    parser.option(
        '--slurm FILE',
        'check everything, measure the costs, and write a script with an '
        'array of jobs, one for each entry on each data set',
        new_file(),
    )


def budget(text: str) -> Budget:
    """Read a budget."""
    try:
        return read_budget(text)
    except UserValueError as error:
        raise ArgumentTypeError(str(error)) from None


def positive(text: str) -> float:
    """Read a number above 0."""
    value = float(text)
    if not 0 < value < float('inf'):
        raise ArgumentTypeError(f'{text}, expected a number above 0')
    return value


def warm_up(text: str) -> float:
    """Read a share of the steps, which must leave some for the fall."""
    value = fraction(text)
    if value == 1:
        raise ArgumentTypeError(
            f'{text}, expected a number below 1, such as 0.1'
        )
    return value


def rate(text: str) -> float:
    """Read a learning rate, with the digits that name the folders of runs."""
    value = float(f'{positive(text):g}')
    if value > 1:
        raise ArgumentTypeError(f'{text}, expected a rate such as 1e-4')
    return value
