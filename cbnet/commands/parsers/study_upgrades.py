r"""Compare ways to go on with a trained detector, on your own data.

The command trains the detector of CONFIG. Then it goes on training it alone,
with a frozen assistant, with a frozen assistant that sees the images at half
their size, and with an assistant that is trained, too; on request, it also
trains a bigger detector from the start. Each gets equal steps and equal time,
from several seeds. All runs are `cbnet train` and `cbnet test`, and all
upgrades are `cbnet upgrade`. After an interruption, the same command
continues; with other --seeds, --arms or another --assistant and the same
--out-dir, it adds to the tables.

Examples:
  cbnet study-upgrades cbnet::cbnet/single_lite0.py --data-root data/mine \
      --assistant dinov2-s --assistant-weights dinov2_vits14.pth \
      --steps 2000 --further-steps 1000 --out-dir study
  cbnet study-upgrades my_config.py --checkpoints epoch_12.pth \
      --assistant convnext_tiny --arms frozen half --further-steps 500 \
      --out-dir study
"""

from pathlib import Path

from ..argument_types import at_least, new_folder
from ..choices import BIGGER, BUDGETS, DEFAULT, UPGRADES
from ..command_parser import CommandParser
from ..options import config_parser
from .train import add_data_options


def make_parser() -> CommandParser:
    """Describe the command line."""
    parser = config_parser(__name__, __doc__, 'CONFIG --out-dir DIR')
    parser.option(
        '--assistant NAME|CONFIG',
        'a preset, a model of timm or a config, as for `cbnet upgrade`',
        default=DEFAULT,
    )
    parser.option(
        '--assistant-weights FILE',
        "the assistant's pretrained file, as for `cbnet upgrade`",
    )
    parser.option(
        '--arms NAME ...',
        f'what is compared with going on alone: '
        f'{", ".join([*UPGRADES, BIGGER])}',
        choices=[*UPGRADES, BIGGER],
        default=[*UPGRADES],
    )
    parser.option(
        '--bigger CONFIG',
        'the config of a bigger detector, for --arms bigger; it is trained '
        'for --steps and --further-steps in one schedule',
    )
    parser.option(
        '--further-config CONFIG',
        'the config of the same detector for the further training '
        '(default: CONFIG)',
    )
    parser.option(
        '--checkpoints FILE ...',
        'trained checkpoints of CONFIG to start from, one for all seeds or '
        'one for each seed (default: CONFIG is trained for --steps)',
        Path,
        default=[],
    )
    parser.option('--seeds N ...', 'the seeds', at_least(0), default=[0, 1, 2])
    parser.option(
        '--budgets NAME ...',
        'whether the further training has equal steps, equal time, or both '
        '(default: both)',
        choices=list(BUDGETS),
        default=list(BUDGETS),
    )
    for name, use in (
        ('steps', 'the training of CONFIG'),
        ('further-steps', 'the further training'),
    ):
        parser.option(
            f'--{name} N',
            f'the number of steps of {use}',
            at_least(2),
            default=1000,
        )
    parser.option(
        '--out-dir DIR',
        'the folder for all runs and the tables',
        new_folder,
        required=True,
    )
    add_data_options(parser)
    return parser
