r"""Train the detector of a config.

Examples:
  cbnet train configs/cbnet/quickstart.py
  cbnet train cbnet::cbnet/dual_lite0.py --data-root data/balloon
  cbnet train mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py \
      --data-root data/mine --train-ann a.json --val-ann b.json \
      --train-img images --val-img images
  cbnet train configs/cbnet/dual_r50.py --work-dir runs/r50 --resume
  cbnet train configs/cbnet/dual_r50.py --auto-scale-lr \
      --cfg-options train_dataloader.batch_size=4 randomness.seed=1
  cbnet train configs/cbnet/dual_r50.py --accumulate 4 --log-to tensorboard
  torchrun --nproc_per_node 8 -m cbnet train configs/cbnet/dual_r50.py \
      --launcher pytorch
"""

from argparse import Namespace
from pathlib import Path

from mmengine.config import Config
from mmengine.runner import find_latest_checkpoint

from ..analysis.visualizing import use_plain_texts
from ..datasets.annotations import read_once
from ..datasets.boxes_only import learn_boxes_only
from ..datasets.data_check import check_data
from ..datasets.loader_check import check_loaders
from ..datasets.own_data import find_own_data
from ..datasets.retarget import retarget
from ..engine.batch import accumulate_gradients, scale_learning_rate
from ..engine.guards import add_guards
from ..engine.launch import finish_launch, is_first, world_size
from ..engine.loggers import LOGGERS, add_logger
from ..engine.mixed_precision import choose_precision
from ..engine.run_settings import check_training
from ..errors import UserValueError
from .command_line import (
    add_verify_option,
    build_runner,
    load_config,
    require_section,
    run_parser,
)
from .command_parser import CommandParser


def make_parser() -> CommandParser:
    """Describe the command line."""
    parser = run_parser(__name__, __doc__)
    parser.option(
        '--resume',
        'continue from this checkpoint; without FILE from the newest in '
        'the work dir, or from the start if there is none',
        nargs='?',
        const='auto',
        metavar='FILE',
    )
    parser.option(
        '--amp',
        'train in mixed precision: float16 on a GPU, bfloat16 on a CPU',
    )
    parser.option(
        '--auto-scale-lr',
        'scale the learning rate by the batch size over '
        'auto_scale_lr.base_batch_size of the config (--data-root does too)',
    )
    parser.option(
        '--accumulate N',
        'accumulate the gradients of N batches for each optimizer step',
        int,
    )
    parser.option(
        '--log-to',
        'send losses, AP and learning rates there as well',
        nargs='+',
        choices=LOGGERS,
        default=[],
    )
    add_verify_option(parser, 'load_from')
    add_data_options(parser)
    parser.option('--no-val', 'train without evaluation')
    return parser


def add_data_options(parser: CommandParser) -> None:
    """Add the options that ``use_own_data`` reads, except ``--no-val``."""
    parser.section(
        'own data',
        'Train any config on a data set in COCO format. The classes, data '
        'sets, evaluators and learning rate of the config follow. Files and '
        'folders are relative to --data-root, or absolute; those that are '
        'not given are searched for.',
    )
    parser.option('--data-root DIR', 'the folder of the data set')
    for split, use in (
        ('train', 'train on'),
        ('val', "evaluate on ('none' is --no-val)"),
    ):
        parser.option(f'--{split}-ann FILE', f'the annotation file to {use}')
        parser.option(
            f'--{split}-img DIR',
            f'the folder of the images that {split}-ann names',
        )
    parser.option(
        '--skip-missing', 'leave out the images that are not in the folder'
    )
    parser.option(
        '--boxes-only',
        'leave out the mask head of the config, for data of which not every '
        'object has a mask',
    )


def run(args: Namespace) -> None:
    """Train as the arguments say."""
    cfg = load_config(args)
    require_section(cfg, 'train_dataloader', 'training')
    check_training(cfg)
    with read_once():  # the options and the check read the same files
        lines = apply_options(args, cfg)
        lines += check_loaders(cfg, 'train', 'val')
        if is_first(cfg.launcher):
            lines += check_data(cfg, 'train', 'val')
            print(*lines, sep='\n', end='\n' if lines else '', flush=True)
    if args.resume:
        resume(cfg, args.resume)
    use_plain_texts()
    add_guards(cfg, verify=args.verify)
    build_runner(cfg).train()
    finish_launch()


def apply_options(args: Namespace, cfg: Config) -> list[str]:
    """Let the options change the config; describe the changes.

    Raises:
        UserValueError: an option does not go with the config or the data.
    """
    lines = choose_precision(cfg, wanted=args.amp)
    if args.accumulate is not None:
        accumulate_gradients(cfg, args.accumulate)
    lines += use_own_data(args, cfg)
    if args.auto_scale_lr:
        lines.append(scale_learning_rate(cfg, world_size(cfg.launcher)))
    return lines + [add_logger(cfg, name) for name in args.log_to]


def use_own_data(args: Namespace, cfg: Config) -> list[str]:
    """Make the config train on the user's data; describe the changes.

    Raises:
        UserValueError: the data cannot be found or are not as COCO's, or
            --data-root is missing.
    """
    options = ('train_ann', 'val_ann', 'train_img', 'val_img')
    chosen = {name: getattr(args, name) for name in options}
    if args.data_root is None:
        flags = 'no_val', 'skip_missing', 'boxes_only'
        given = [name for name in (*options, *flags) if getattr(args, name)]
        if given:
            option = given[0].replace('_', '-')
            raise UserValueError(
                f'--{option} needs --data-root, the folder of the data set'
            )
        return []
    without = args.no_val or args.val_ann == 'none'
    data = find_own_data(
        args.data_root,
        **chosen,
        validate=not without,
        skip_missing=args.skip_missing,
    )
    lines = [learn_boxes_only(cfg)] if args.boxes_only else []
    lines += retarget(cfg, data)
    if not args.auto_scale_lr:
        try:
            lines.append(scale_learning_rate(cfg, world_size(cfg.launcher)))
        except UserValueError as error:
            lines.append(f'learning rate: as in the config ({error})')
    return lines


def resume(cfg: Config, source: str) -> None:
    """Continue from a file; ``auto`` is the newest of work_dir, if any."""
    if source == 'auto':
        source = find_latest_checkpoint(cfg.work_dir)
        if source is None:
            return  # load_from of the config still counts
        # The name is absolute; the folder may have moved since.
        moved = Path(cfg.work_dir, Path(source).name)
        if not Path(source).is_file() and moved.is_file():
            source = str(moved)
    if '://' not in source and not Path(source).is_file():
        raise UserValueError(f'--resume: no file {source}')
    cfg.resume = True
    cfg.load_from = source
