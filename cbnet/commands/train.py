"""Train the detector of a config, as ``cbnet train``."""

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
from ..engine.loader_threads import leave_cpus
from ..engine.loggers import add_logger
from ..engine.mixed_precision import choose_precision
from ..engine.run_length_masks import add_run_length_masks
from ..engine.run_settings import check_training
from ..errors import UserValueError
from .command_line import (
    build_runner,
    load_config,
    require_section,
)


def run(args: Namespace) -> None:
    """Train as the arguments say."""
    cfg = load_config(args)
    require_section(cfg, 'train_dataloader', 'training')
    check_training(cfg)
    with read_once():  # the options and the check read the same files
        lines = apply_options(args, cfg)
        lines += check_loaders(cfg, 'train', 'val')
        lines += leave_cpus(cfg, getattr(args, 'threads', None), 'train')
        if is_first(cfg.launcher):
            lines += check_data(cfg, 'train', 'val')
            print(*lines, sep='\n', end='\n' if lines else '', flush=True)
    if args.resume:
        resume(cfg, args.resume)
    use_plain_texts()
    add_guards(cfg, verify=args.verify)
    add_run_length_masks(cfg)
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
        options='files' if args.no_val is None else 'all',
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
