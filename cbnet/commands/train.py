"""Train the detector of a config."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from mmengine.config import Config
from mmengine.runner import find_latest_checkpoint

from ..datasets.annotations import read_once
from ..datasets.data_check import check_data
from ..datasets.own_data import find_own_data
from ..datasets.retarget import retarget
from ..engine.batch import accumulate_gradients, scale_learning_rate
from ..engine.guards import add_guards
from ..engine.launch import finish_launch, is_first, world_size
from ..engine.loggers import LOGGERS, add_logger
from ..engine.mixed_precision import choose_precision
from .command_line import (
    build_runner,
    load_config,
    make_run_parser,
    parse,
    require_file,
    require_section,
)
from .user_errors import plain_errors

EXAMPLES = """examples:
  python tools/train.py configs/cbnet/quickstart.py
  python tools/train.py configs/cbnet/dual_lite0.py --data-root data/balloon
  python tools/train.py mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py \\
      --data-root data/mine --train-ann a.json --val-ann b.json \\
      --train-img images --val-img images
  python tools/train.py configs/cbnet/dual_r50.py --work-dir runs/r50 --resume
  python tools/train.py configs/cbnet/dual_r50.py --auto-scale-lr \\
      --cfg-options train_dataloader.batch_size=4 data_root=data/coco/
  python tools/train.py configs/cbnet/dual_r50.py --accumulate 4 \\
      --log-to tensorboard
  tools/dist_train.sh configs/cbnet/dual_r50.py 8
"""


def resume(parser: ArgumentParser, cfg: Config, source: str) -> None:
    """Go on from a file, or from the newest of work_dir if there is one."""
    if source == 'auto':
        source = find_latest_checkpoint(cfg.work_dir)
        if source is None:
            return  # load_from of the config still counts
        # The name is absolute; the folder may have moved since.
        moved = Path(cfg.work_dir, Path(source).name)
        if not Path(source).is_file() and moved.is_file():
            source = str(moved)
    require_file(parser, '--resume', source)
    cfg.resume = True
    cfg.load_from = source


def add_own_data_arguments(parser: ArgumentParser) -> None:
    """Add the options that bring somebody's own data into any config."""
    group = parser.add_argument_group(
        'own data',
        'Train any config on a data set in COCO format: number and names of '
        'classes, data sets, evaluators and the learning rate follow. '
        'Files and folders are below --data-root, or paths of their own; '
        'those that are not given are looked for.',
    )
    group.add_argument('--data-root', metavar='DIR', help='its folder')
    for split, use in (('train', 'train'), ('val', 'evaluate')):
        group.add_argument(
            f'--{split}-ann',
            metavar='FILE',
            help=f'annotation file to {use} on'
            + (" ('none' is --no-val)" if split == 'val' else ''),
        )
        group.add_argument(
            f'--{split}-img',
            metavar='DIR',
            help=f'folder that its file names are below ({split})',
        )
    group.add_argument(
        '--no-val', action='store_true', help='train without evaluation'
    )


def use_own_data(args: Namespace, cfg: Config) -> list[str]:
    """Turn the config to the data of the options; say what was done."""
    options = ('train_ann', 'val_ann', 'train_img', 'val_img')
    chosen = {name: getattr(args, name) for name in options}
    if args.data_root is None:
        given = [f'--{n.replace("_", "-")}' for n in chosen if chosen[n]]
        if given or args.no_val:
            raise ValueError(
                f'{(given or ["--no-val"])[0]} needs --data-root, the folder '
                'of the data set'
            )
        return []
    without = args.no_val or args.val_ann == 'none'
    data = find_own_data(args.data_root, **chosen, validate=not without)
    lines = retarget(cfg, data)
    if not args.auto_scale_lr:
        try:
            lines.append(scale_learning_rate(cfg, world_size(cfg.launcher)))
        except ValueError as error:
            lines.append(f'learning rate: as in the config ({error})')
    return lines


@read_once()
def apply_options(
    parser: ArgumentParser, args: Namespace, cfg: Config
) -> None:
    """Let the options change the config; say on one process what they did."""
    lines = []
    try:
        lines += choose_precision(cfg, wanted=args.amp)
        if args.accumulate is not None:
            accumulate_gradients(cfg, args.accumulate)
        lines += use_own_data(args, cfg)
        if args.auto_scale_lr:
            lines.append(scale_learning_rate(cfg, world_size(cfg.launcher)))
        lines += [add_logger(cfg, name) for name in args.log_to]
        if is_first(cfg.launcher):
            check_data(cfg, 'train', 'val')
    except ValueError as error:
        parser.error(str(error))
    if is_first(cfg.launcher) and lines:
        print('\n'.join(lines), flush=True)


def main() -> None:
    """Read the command line and train."""
    parser = make_run_parser(__doc__, 'CONFIG', EXAMPLES)
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='FILE',
        help='go on from this checkpoint; without FILE from the newest in '
        'the work dir, or from the start if there is none',
    )
    parser.add_argument(
        '--amp',
        action='store_true',
        help='mixed precision: float16 on a GPU, bfloat16 on a CPU',
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate by the batch size over '
        'auto_scale_lr.base_batch_size of the config (--data-root does too)',
    )
    parser.add_argument(
        '--accumulate',
        type=int,
        metavar='N',
        help='let every step of the optimizer see N batches',
    )
    parser.add_argument(
        '--log-to',
        nargs='+',
        choices=LOGGERS,
        default=[],
        help='send losses, AP and learning rates there as well',
    )
    add_own_data_arguments(parser)
    args = parse(parser)
    cfg = load_config(parser, args)
    require_section(parser, cfg, 'train_dataloader', 'training')
    apply_options(parser, args, cfg)
    if args.resume:
        resume(parser, cfg, args.resume)
    add_guards(cfg)
    with plain_errors():
        build_runner(cfg).train()
    finish_launch()
