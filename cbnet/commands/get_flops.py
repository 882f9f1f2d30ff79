"""Count parameters and multiply-accumulates, as ``cbnet get-flops``."""

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
from ..twins.trained import read_detector
from ..twins.upgraded_config import write_config
from .command_line import load_config


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
