"""Draw the curves of training runs into one figure.

There are panels for the losses of the lead and of each assistant, AP, the
learning rate, the time per step, and memory, which mmengine logs on a GPU
only.
"""

from collections.abc import Sequence
from pathlib import Path

from ..analysis.curve_figure import (
    choose_panels,
    draw_curves,
    panels_of,
)
from ..analysis.log_curves import labels_of, read_run
from .command_line import command_parser

EXAMPLES = """examples:
  cbnet plot-log work_dirs/quickstart/trained
  cbnet plot-log work_dirs/dual work_dirs/single \\
      --labels dual single --smooth 5 --out curves.png
  cbnet plot-log work_dirs/dual \\
      --keys loss_mask assist0.loss_mask bbox_mAP
"""
FORMATS = ('.png', '.pdf', '.svg')


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line and the logs, and draw the curves."""
    parser = command_parser('plot-log', 'RUN [RUN ...]', __doc__, EXAMPLES)
    parser.add_argument(
        'runs',
        nargs='+',
        metavar='RUN',
        help='a work dir (a resumed run is drawn as one), the folder of one '
        'process inside it, or a scalars.json',
    )
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('curves.png'),
        metavar='FILE',
        help='the figure: .png, .pdf or .svg (default: curves.png)',
    )
    parser.add_argument(
        '--keys',
        nargs='+',
        metavar='KEY',
        help='draw a panel for each of these (default: the usual panels); '
        'the prefix of an evaluator (coco/) may be left out',
    )
    parser.add_argument(
        '--labels',
        nargs='+',
        metavar='TEXT',
        help='the names of the runs (default: the ends of their paths)',
    )
    parser.add_argument(
        '--smooth',
        type=int,
        default=1,
        metavar='N',
        help='draw running means over N logged values (default: 1, none)',
    )
    args = parser.parse_args(argv)
    if args.out.suffix.lower() not in FORMATS:
        parser.error(f'--out: {args.out} must end in {", ".join(FORMATS)}')
    if args.smooth < 1:
        parser.error(f'--smooth: {args.smooth}, expected 1 or more')
    if args.labels and len(args.labels) != len(args.runs):
        parser.error(
            f'--labels: {len(args.labels)} names for {len(args.runs)} runs'
        )
    try:
        runs = [read_run(run) for run in args.runs]
        panels = (
            panels_of(runs, args.keys) if args.keys else choose_panels(runs)
        )
    except ValueError as error:
        parser.error(str(error))
    labels = args.labels or labels_of(runs)
    for label, run in zip(labels, runs, strict=True):
        line = (
            f'{label}: up to iteration {run.train[-1][0]}, '
            f'{len(run.train)} steps logged, '
            f'evaluations: {len(run.evaluations)}'
        )
        if run.resumed:
            line += f', resumed at {", ".join(map(str, run.resumed))}'
        print(line)
    figure = draw_curves(runs, labels, panels, args.smooth)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.out)
    print(f'{len(panels)} panels: {args.out}')
