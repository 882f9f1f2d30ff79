"""Count the parameters and multiply-accumulates of a detector, part by part.

What the field calls FLOPs are multiply-accumulates (MACs). The count needs
neither data nor weights: the model has shapes but no numbers.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from json import dumps
from pathlib import Path

from ..analysis.complexity import check_shape, measure
from ..analysis.complexity.figures import Complexity
from ..analysis.complexity.table import notes, part_table, total_table
from .command_line import config_parser, load_config, parse

EXAMPLES = """examples:
  cbnet get-flops configs/cbnet/dual_swin_l.py
  cbnet get-flops configs/cbnet/dual_r50.py \\
      configs/cbnet/single_r50.py --out work_dirs/cost.json
  cbnet get-flops configs/cbnet/dual_r50.py \\
      --shape 640 --cfg-options model.backbone.style=fcc

docs/cost.md explains what is counted, and by which rule.
"""


def describe() -> ArgumentParser:
    """Describe the command line."""
    parser = config_parser(
        'get-flops', 'CONFIG [CONFIG ...]', __doc__, EXAMPLES
    )
    parser.add_argument(
        'more',
        nargs='*',
        metavar='CONFIG',
        help='further configs; the table then has one row for each config '
        'instead of one for each part',
    )
    parser.add_argument(
        '--shape',
        nargs='+',
        type=int,
        default=[800, 1280],
        metavar=('H', 'W'),
        help='the height and width of the image as the model sees it, with '
        'padding; one number stands for a square (default: 800 1280, as for '
        'the published figures)',
    )
    parser.add_argument(
        '--out',
        type=Path,
        metavar='FILE.json',
        help='also write all exact numbers: config -> parts, total, ...',
    )
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line, count, print and write."""
    parser = describe()
    args = parse(parser, argv)
    shape = tuple(args.shape * 2 if len(args.shape) == 1 else args.shape)
    try:
        check_shape(shape)
    except ValueError as error:
        parser.error(f'--shape: {error}')
    if args.out and args.out.suffix != '.json':
        parser.error(f'--out: {args.out} must end in .json')

    names = list(dict.fromkeys([args.config, *args.more]))
    found = {name: count(parser, args, name, shape) for name in names}
    print(f'{shape[0]} x {shape[1]} (height x width), one image')
    if len(found) > 1:
        print(total_table(found))
    else:
        print(part_table(found[args.config]))
        print('\n'.join(notes(found[args.config])))
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        figures = {name: one.as_json() for name, one in found.items()}
        args.out.write_text(dumps(figures, indent=1, sort_keys=True) + '\n')
        print(f'figures: {args.out}')
    missing = [
        f'{name}: {part} does not run without data ({reason})'
        for name, one in found.items()
        for part, reason in one.uncounted.items()
    ]
    if missing:
        parser.error(
            f'{"; ".join(missing)}; later parts and training are not '
            f'counted either'
        )


def count(
    parser: ArgumentParser,
    args: Namespace,
    name: str,
    shape: tuple[int, int],
) -> Complexity:
    """Count one config; report its mistakes through the parser."""
    cfg = load_config(parser, Namespace(**{**vars(args), 'config': name}))
    try:
        return measure(cfg, shape)
    except ValueError as error:
        parser.error(f'{name}: {error}')
