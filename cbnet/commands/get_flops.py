r"""Count the parameters and multiply-accumulates of a detector, part by part.

What the field calls FLOPs are multiply-accumulates (MACs). The count needs
neither data nor weights: the model has shapes but no numbers.

Examples:
  cbnet get-flops configs/cbnet/dual_swin_l.py
  cbnet get-flops configs/cbnet/dual_r50.py \
      configs/cbnet/single_r50.py --out work_dirs/cost.json
  cbnet get-flops configs/cbnet/dual_r50.py \
      --shape 640 --cfg-options model.backbone.style=fcc

docs/cost.md explains what is counted, and by which rule.
"""

from argparse import Namespace
from json import dumps

from ..analysis.complexity import check_shape, measure
from ..analysis.complexity.figures import Complexity
from ..analysis.complexity.table import notes, part_table, total_table
from ..errors import UserValueError
from .argument_types import ends_in
from .command_line import config_parser, load_config
from .command_parser import CommandParser


def make_parser() -> CommandParser:
    """Describe the command line."""
    parser = config_parser(__name__, __doc__, 'CONFIG [CONFIG ...]')
    parser.option(
        'more',
        'further configs; the table then has one row for each config '
        'instead of one for each part',
        nargs='*',
        metavar='CONFIG',
    )
    parser.option(
        '--shape',
        'the height and width of the image as the model sees it, with '
        'padding; one number stands for a square (default: 800 1280, as for '
        'the published figures)',
        int,
        nargs='+',
        default=[800, 1280],
        metavar=('H', 'W'),
    )
    parser.option(
        '--out FILE.json',
        'also write all exact numbers: config -> parts, total, ...',
        ends_in('.json'),
    )
    return parser


def run(args: Namespace) -> None:
    """Count, print and write."""
    shape = tuple(args.shape * 2 if len(args.shape) == 1 else args.shape)
    try:
        check_shape(shape)
    except UserValueError as error:
        raise UserValueError(f'--shape: {error}') from error

    names = list(dict.fromkeys([args.config, *args.more]))
    found = {name: count(args, name, shape) for name in names}
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
        raise UserValueError(
            f'{"; ".join(missing)}; later parts and training are not '
            f'counted either'
        )


def count(args: Namespace, name: str, shape: tuple[int, int]) -> Complexity:
    """Count one config of several."""
    cfg = load_config(Namespace(**{**vars(args), 'config': name}))
    try:
        return measure(cfg, shape)
    except ValueError as error:
        raise UserValueError(f'{name}: {error}') from error
