r"""Add a pretrained assistant to a trained detector, losing nothing.

CONFIG and CHECKPOINT are those of any mmdet detector. The new connections add
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

from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from ..analysis.complexity.measure import SMALLEST
from ..atomic_files import all_or_none
from ..checkpoints.weight_files import kept_meta, read_file, write_weights
from ..errors import UserValueError
from ..models.backbones import STYLES
from ..twins.assistants import Assistant, find_assistant, with_weights
from ..twins.fitting import UpgradeOptions
from ..twins.presets import DEFAULT, PRESETS
from ..twins.proof import compare_detectors, proof_images
from ..twins.trained import Detector, check_checkpoint, read_detector
from ..twins.upgraded_config import write_config
from ..twins.upgraded_weights import start_weights
from .argument_types import at_least, factor
from .command_line import new_files
from .command_parser import CommandParser
from .publish import record
from .remove_assistant import remove
from .upgrade_costs import print_costs


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
        'resize the images for the assistant; 0.5 is a quarter of its work '
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
        Path,
        required=True,
    )
    parser.option(
        '--images PATH ...',
        'images or folders to prove it on (default: two images of '
        'test_dataloader, or the image of fingerprints)',
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


def run(args: Namespace) -> None:
    """Upgrade one detector and print each step."""
    if args.remove:
        remove(args)
        return
    if args.leave_out_frozen and args.train_assistant:
        raise UserValueError(
            '--leave-out-frozen leaves out weights that stay as they are, '
            'and --train-assistant changes them; give one of the two'
        )
    detector = read_detector(args.config)
    assistant = find_assistant(args.assistant)
    assistant = with_weights(assistant, args.assistant_weights)
    name = Path(args.config.rpartition('::')[2]).stem
    out, start = new_files(args.out_dir, f'upgraded_{name}.py', 'start.pth')
    images, called = proof_images(detector.cfg, args.images, args.out_dir)
    print(f'reading {args.checkpoint}', flush=True)
    file = read_file(args.checkpoint)
    weights = check_checkpoint(
        args.config, detector.cfg, file, str(args.checkpoint)
    )
    options = UpgradeOptions(
        args.style,
        args.train_assistant,
        args.scale,
        args.dtype,
        args.leave_out_frozen,
    )
    with all_or_none(out, start):
        cfg, model = write_config(detector, assistant, out, start, options)
        found = start_weights(detector, weights, model, assistant)
        outputs = record(cfg, found)
        write_weights(start, found, kept_meta(file, args.checkpoint), outputs)
        pair = (detector.cfg, args.checkpoint), (cfg, start)
        apart = compare_detectors(*pair, images)
        if apart.largest:
            raise UserValueError(
                f'{args.config}: the upgraded detector computes something '
                f'else; the first output that differs is {apart.place}, the '
                f'largest difference is {apart.largest:.3g}; nothing was '
                f'written'
            )
    print(f'wrote {out}\nwrote {start}')
    print(
        f'proved on {apart.images} {called}: {apart.outputs} outputs and '
        f'{apart.detections} detections are equal, largest difference '
        f'{apart.largest}'
    )
    print_costs(args, (detector.cfg, weights), (cfg, found))
    for remark in remarks(detector, assistant, args.leave_out_frozen):
        print(f'note: {remark}')
    print(f'go on: cbnet train {out}')


def remarks(
    detector: Detector, assistant: Assistant, left_out: bool
) -> Iterator[str]:
    """Yield what the user of an upgraded detector must know."""
    if left_out:
        yield (
            f'the weights of the assistant are in no checkpoint; keep '
            f'{assistant.init_cfg["checkpoint"]}'
        )
    if assistant.licence:
        yield (
            f'the licence of the weights of {assistant.name} is '
            f'{assistant.licence}'
        )
    if work_dir := detector.cfg.get('work_dir'):
        yield (
            f'work_dir={work_dir!r} is inherited: use --work-dir, or the '
            f"checkpoints mix with those of the detector's own training"
        )
