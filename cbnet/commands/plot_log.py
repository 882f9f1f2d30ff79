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

from argparse import Namespace
from pathlib import Path

from ..analysis.curve_figure import choose_panels, draw_curves, panels_of
from ..analysis.log_curves import labels_of, read_run
from ..errors import UserValueError
from .argument_types import at_least, ends_in
from .command_parser import CommandParser


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
        ends_in('.png', '.pdf', '.svg'),
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


def run(args: Namespace) -> None:
    """Read the logs and draw the curves."""
    if args.labels and len(args.labels) != len(args.runs):
        raise UserValueError(
            f'--labels: {len(args.labels)} names for {len(args.runs)} runs'
        )
    runs = [read_run(path) for path in args.runs]
    panels = panels_of(runs, args.keys) if args.keys else choose_panels(runs)
    labels = args.labels or labels_of(runs)
    for label, one in zip(labels, runs, strict=True):
        line = (
            f'{label}: up to iteration {one.train[-1][0]}, '
            f'{len(one.train)} steps logged, '
            f'evaluations: {len(one.evaluations)}'
        )
        if one.resumed:
            line += f', resumed at {", ".join(map(str, one.resumed))}'
        print(line)
    figure = draw_curves(runs, labels, panels, args.smooth)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.out)
    print(f'{len(panels)} panels: {args.out}')
