"""Draw the curves of training runs, as ``cbnet plot-log``."""

from argparse import Namespace

from ..analysis.curve_figure import choose_panels, draw_curves, panels_of
from ..analysis.log_curves import labels_of, read_run
from ..errors import UserValueError


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
