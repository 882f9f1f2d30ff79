"""The options that commands share; importing them imports nothing slow."""

from .argument_types import new_folder, scale
from .choices import LAUNCHERS
from .command_parser import CommandParser, Overrides

#: the help of the argument or option that names a config
CONFIG = (
    'the config file, or one that an installed package carries: '
    'cbnet::cbnet/quickstart.py'
)


def config_parser(
    module: str, text: str, arguments: str = 'CONFIG'
) -> CommandParser:
    """Make the parser of a command that takes a config and overrides."""
    parser = CommandParser(module, text, arguments)
    parser.option('config', CONFIG)
    add_overrides(parser)
    return parser


def add_overrides(parser: CommandParser) -> None:
    """Add ``--cfg-options``."""
    parser.option(
        '--cfg-options KEY=VALUE ...',
        'override settings of the config, such as '
        'train_dataloader.batch_size=2 model.assistance.weights="[0.25]" '
        '(quote brackets, and put no spaces inside); variables of the file, '
        'such as data_root, are refused, because their values have already '
        'been used',
        action=Overrides,
    )


def add_work_dir_option(parser: CommandParser, files: str) -> None:
    """Add ``--work-dir`` for some files."""
    parser.option(
        '--work-dir DIR',
        f'the folder for {files} '
        '(default: work_dir of the config, or ./work_dirs/<its name>)',
        new_folder,
    )


def run_parser(
    module: str, text: str, arguments: str = 'CONFIG'
) -> CommandParser:
    """Make the parser of a command that runs mmengine's runner."""
    parser = config_parser(module, text, arguments)
    add_work_dir_option(parser, 'logs, results and checkpoints')
    parser.option(
        '--launcher',
        'what started the processes of a distributed run '
        '(default: none, a single process)',
        choices=['none', *LAUNCHERS],
        default='none',
    )
    parser.add_argument(
        '--local-rank',
        '--local_rank',
        type=int,
        metavar='N',
        help='for launchers that pass the local rank as an argument',
    )
    return parser


def add_tta_options(parser: CommandParser) -> None:
    """Add ``--tta`` and ``--tta-scales``; either asks for ``add_tta``."""
    parser.option(
        '--tta',
        'merge the detections in several views of each image '
        '(test-time augmentation): the views of tta_pipeline in the config, '
        'or else the test scale, plain and flipped',
    )
    parser.option(
        '--tta-scales W,H ...',
        'test-time augmentation with these scales, each plain and flipped',
        scale,
    )


def add_fast_option(parser: CommandParser) -> None:
    """Add ``--fast``."""
    parser.option(
        '--fast',
        'fold norms into convolutions, and store maps in the channels-last '
        'layout, for speed; detections are the same up to rounding',
    )


def add_full_masks_option(parser: CommandParser) -> None:
    """Add ``--full-masks``."""
    parser.option(
        '--full-masks',
        'paste each mask into an image of its own before it is encoded, as '
        'mmdet does; the results are the same',
    )


def add_verify_option(
    parser: CommandParser, file: str = 'the checkpoint'
) -> None:
    """Add ``--verify`` for a file that the help calls ``file``."""
    parser.option(
        '--verify',
        f'first compare the weights of {file}, and what the detector '
        f'computes with them from a fixed image, with the fingerprint in '
        f'that file; stop if they differ',
    )
