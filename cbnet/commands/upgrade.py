r"""Add a pretrained assistant to a trained detector, losing nothing.

CONFIG and CHECKPOINT are those of any mmdet detector. The new connections add
zero, so that the upgraded detector computes what it computed before; this is
proved on images before anything is trained. The assistant is frozen unless
--train-assistant is given.

Examples:
  cbnet upgrade my_config.py epoch_12.pth --assistant dinov2-s \
      --assistant-weights dinov2_vits14.pth --out-dir upgraded
  cbnet upgrade mmdet::rtmdet/rtmdet_s_8xb32-300e_coco.py rtmdet_s.pth \
      --assistant convnext_tiny --out-dir upgraded
  cbnet upgrade upgraded/upgraded_my_config.py epoch_3.pth --remove \
      --out-dir removed
"""

from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mmengine.config import Config
from mmengine.device import get_device
from torch import Tensor

from ..analysis.complexity import check_shape, measure
from ..analysis.complexity.against import against_table, trained_parts
from ..analysis.complexity.step import Step, measure_step
from ..checkpoints.weight_files import kept_meta, read_file, write_weights
from ..engine.verification import build_detector
from ..errors import UserValueError
from ..messages import one_line
from ..models.backbones import STYLES
from ..testing import make_batch
from ..twins.assistants import Assistant, find_assistant
from ..twins.presets import DEFAULT, PRESETS
from ..twins.proof import compare_detectors, proof_images
from ..twins.upgrade import (
    Detector,
    UpgradeOptions,
    check_checkpoint,
    read_detector,
    start_weights,
    write_config,
)
from .argument_types import at_least
from .command_parser import CommandParser
from .publish import record
from .remove_assistant import remove

Weights = Mapping[str, Tensor]


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
        '(default: the images as they are)',
        float,
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
        int,
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
    try:
        check_shape(args.shape)
    except UserValueError as error:
        raise UserValueError(f'--shape: {error}') from error
    if args.remove:
        remove(args)
    else:
        upgrade(args)


def upgrade(args: Namespace) -> None:
    """Write the config and the checkpoint, and prove that nothing is lost."""
    assistant = find_assistant(args.assistant)
    detector = read_detector(args.config)
    out = (
        args.out_dir / f'upgraded_{Path(args.config.split("::")[-1]).stem}.py'
    )
    start = args.out_dir / 'start.pth'
    if start.exists():
        raise UserValueError(
            f'{start} exists; name another --out-dir or delete it'
        )
    print(f'reading {args.checkpoint}', flush=True)
    file = read_file(args.checkpoint)
    weights = check_checkpoint(
        args.config, detector.cfg, file, str(args.checkpoint)
    )
    images, called = proof_images(detector.cfg, args.images, args.out_dir)

    args.out_dir.mkdir(parents=True, exist_ok=True)
    cfg, model = write_config(
        detector,
        assistant,
        out,
        start,
        UpgradeOptions(args.style, args.train_assistant, args.scale),
    )
    try:
        found = start_weights(
            detector, weights, model, assistant, args.assistant_weights
        )
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
    except BaseException:
        out.unlink(missing_ok=True)
        start.unlink(missing_ok=True)
        raise
    print(f'wrote {out}\nwrote {start}')
    print(
        f'proved on {apart.images} {called}: {apart.outputs} outputs and '
        f'{apart.detections} detections are equal, largest difference '
        f'{apart.largest}'
    )
    print_costs(args, (detector.cfg, weights), (cfg, found))
    for remark in remarks(detector, assistant):
        print(f'note: {remark}')
    print(f'go on: cbnet train {out}')


def print_costs(args: Namespace, *pair: tuple[Config, Weights]) -> None:
    """Print what is trained, and what it costs against before.

    Args:
        args: the options of the command.
        pair: the config and the weights of both detectors.
    """
    height, width = args.shape
    before, after = (measure(cfg, (height, width)) for cfg, _ in pair)
    steps = None
    if args.steps:
        try:
            steps = time_steps(args, pair)
        except Exception as error:  # detectors may need other data
            print(f'note: no step could be timed: {one_line(error, 200)}')
    print(f'{height} x {width} (height x width), one image')
    print(against_table(before, after, steps))
    print('\n'.join(trained_parts(after)))


def time_steps(
    args: Namespace, pair: Sequence[tuple[Config, Weights]]
) -> list[Step]:
    """Time training steps of both detectors on a random image."""
    detectors = [build_detector(*one).to(get_device()) for one in pair]
    batch = make_batch((3,), tuple(args.shape), num_classes=1)
    masks = batch['data_samples'][0].gt_instances.pop('masks')
    try:
        measure_step(detectors[0], batch, 0)
    except Exception:  # as any that lacks its masks
        batch['data_samples'][0].gt_instances.masks = masks
    return [measure_step(one, batch, args.steps) for one in detectors]


def remarks(detector: Detector, assistant: Assistant) -> Iterator[str]:
    """Yield what the user of an upgraded detector must know."""
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
