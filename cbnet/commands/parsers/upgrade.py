r"""Add a pretrained assistant to a trained detector, losing nothing.

CONFIG and CHECKPOINT are those of an mmdet detector. The new connections add
zero, so that the upgraded detector computes what it computed before; this is
proved on images before anything is trained. The assistant is frozen unless
--train-assistant is given.

Examples:
  cbnet upgrade my_config.py epoch_12.pth --assistant dinov2-s \
      --assistant-weights dinov2_vits14.pth --out-dir upgraded
  cbnet upgrade mmdet::rtmdet/rtmdet_s_8xb32-300e_coco.py rtmdet_s.pth \
      --assistant convnext_tiny --scale 0.5 --dtype bfloat16 \
      --leave-out-frozen --out-dir upgraded
  cbnet upgrade upgraded/upgraded_my_config.py epoch_3.pth --remove \
      --out-dir removed
"""

from pathlib import Path

from ..argument_types import at_least, factor, new_folder
from ..choices import DEFAULT, PRESETS, SMALLEST, STYLES
from ..command_parser import CommandParser


def make_parser() -> CommandParser:
    """Describe the command line."""
    parser = CommandParser(
        __name__, __doc__, 'CONFIG CHECKPOINT --out-dir DIR'
    )
    parser.option(
        'config',
        'the config of the trained detector; with --remove, that of the '
        'upgraded one',
    )
    parser.option('checkpoint', 'its trained checkpoint', Path)
    parser.option(
        '--assistant NAME|CONFIG',
        f"a preset ({', '.join(PRESETS)}), timm's name of a model, or a "
        f'config file whose backbone is taken',
        default=DEFAULT,
    )
    parser.option(
        '--assistant-weights FILE',
        "the assistant's pretrained file, in any layout that members load "
        "(default: timm's own weights, which are downloaded, or the init_cfg "
        'of the config)',
    )
    parser.option(
        '--scale FACTOR',
        'resize the images for the assistant; 0.5 takes a quarter of the work '
        '(default: the images as they are; 1.0, a resize to whole patches, '
        "if the assistant's positions would not line up otherwise)",
        factor,
    )
    parser.option(
        '--dtype NAME',
        'the type in which the assistant computes, by autocast (default: the '
        'type of everything else)',
        choices=['bfloat16', 'float16', 'float32'],
    )
    parser.option(
        '--leave-out-frozen',
        "leave the frozen assistant's weights out of start.pth and all later "
        'checkpoints, which are then small and name the weights by a hash; '
        'the file of the assistant must be kept',
    )
    parser.option(
        '--train-assistant', 'train the assistant, too, instead of freezing it'
    )
    parser.option(
        '--style NAME',
        f'the style of the connections: {", ".join(STYLES)}',
        choices=list(STYLES),
        default='dhlc',
    )
    parser.option(
        '--out-dir DIR',
        'the folder for the config and start.pth',
        new_folder,
        required=True,
    )
    parser.option(
        '--images PATH ...',
        'images or folders of images for the proof (default: two images of '
        'test_dataloader or, if there are none, a generated one)',
        Path,
        default=[],
    )
    parser.option(
        '--shape',
        'the height and width of the image for which costs are given',
        at_least(SMALLEST, 8192),
        nargs=2,
        default=[800, 1280],
        metavar=('H', 'W'),
    )
    parser.option(
        '--steps N',
        'the number of training steps to time before and after; 0: none',
        at_least(0),
        default=3,
    )
    parser.option(
        '--remove',
        'take the assistants of an upgraded detector away again',
    )
    return parser
