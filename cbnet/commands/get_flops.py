r"""Count the parameters and multiply-accumulates of a detector, part by part.

What the field calls FLOPs are multiply-accumulates (MACs). The count needs
neither data nor weights: the model has shapes but no numbers.

Examples:
  cbnet get-flops configs/cbnet/dual_swin_l.py
  cbnet get-flops configs/cbnet/dual_r50.py \
      configs/cbnet/single_r50.py --out work_dirs/cost.json
  cbnet get-flops configs/cbnet/dual_r50.py \
      --shape 640 --cfg-options model.backbone.style=fcc
  cbnet get-flops mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py \
      --assistant dinov2-s clip-b --scale 0.5

docs/cost.md explains what is counted, and by which rule.
"""

from argparse import Namespace
from json import dumps
from pathlib import Path
from tempfile import TemporaryDirectory

from ..analysis.complexity import check_shape, measure
from ..analysis.complexity.figures import Complexity
from ..analysis.complexity.table import notes, part_table, total_table
from ..errors import UserValueError
from ..twins.assistants import find_assistant
from ..twins.fitting import UpgradeOptions
from ..twins.presets import PRESETS
from ..twins.trained import read_detector
from ..twins.upgraded_config import write_config
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
        '--assistant NAME|CONFIG ...',
        'also count each config as `cbnet upgrade` would add these frozen '
        f'assistants to it, one at a time: a preset ({", ".join(PRESETS)}), '
        "timm's name of a model, or a config file",
        default=[],
    )
    parser.option(
        '--scale FACTOR',
        'resize the images for the assistants; 0.5 is a quarter of their '
        'work (default: the images as they are)',
        float,
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
    if args.assistant and args.cfg_options:
        raise UserValueError(
            '--assistant is added to a config as it is; write the settings '
            'of --cfg-options into a config that inherits from it'
        )
    if args.scale is not None and not args.assistant:
        raise UserValueError('--scale is for the images of an --assistant')
    shape = tuple(args.shape * 2 if len(args.shape) == 1 else args.shape)
    try:
        check_shape(shape)
    except UserValueError as error:
        raise UserValueError(f'--shape: {error}') from error

    names = list(dict.fromkeys([args.config, *args.more]))
    found = {}
    for name in names:
        found[name] = count(args, name, shape)
        for assistant in args.assistant:
            title = f'{name} + {assistant}'
            found[title] = count_upgraded(args, name, assistant, shape)
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


def count_upgraded(
    args: Namespace, name: str, assistant: str, shape: tuple[int, int]
) -> Complexity:
    """Count one config with a new frozen assistant, without its weights."""
    with TemporaryDirectory() as folder:
        cfg, _ = write_config(
            read_detector(name),
            find_assistant(assistant),
            Path(folder, 'upgraded.py'),
            Path(folder, 'start.pth'),
            UpgradeOptions(scale=args.scale),
        )
    return measure(cfg, shape)
