r"""Draw the curves of training runs into one figure.

There are panels for the losses of the lead and of each assistant, AP, the
learning rate, the time per step, and memory, which mmengine logs on a GPU
only.

Examples:
  cbnet plot-log work_dirs/quickstart/trained
  cbnet plot-log work_dirs/dual work_dirs/single \
      --labels dual single --smooth 5 --out curves.png
  cbnet plot-log work_dirs/dual \
      --keys loss_mask assist0.loss_mask bbox_mAP
"""

from pathlib import Path

from ..argument_types import at_least, new_file
from ..command_parser import CommandParser


def make_parser() -> CommandParser:
    """Describe the command line."""
    parser = CommandParser(__name__, __doc__, 'RUN [RUN ...]')
    parser.option(
        'runs RUN ...',
        'a work dir (a resumed run is drawn as one), the folder of one '
        'process inside it, or a scalars.json',
    )
    parser.option(
        '--out FILE',
        'the figure: .png, .pdf or .svg',
        new_file('.png', '.pdf', '.svg'),
        default=Path('curves.png'),
    )
    parser.option(
        '--keys KEY ...',
        'draw a panel for each of these (default: the usual panels); '
        'the prefix of an evaluator (coco/) may be left out',
    )
    parser.option(
        '--labels TEXT ...',
        'the names of the runs (default: the ends of their paths)',
    )
    parser.option(
        '--smooth N',
        'draw running means over N logged values (default: 1, none)',
        at_least(1),
        default=1,
    )
    return parser
