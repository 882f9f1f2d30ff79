"""Train the detector of a config."""

import cbnet  # noqa: F401  (first: it serves mmcv's ops to mmdet)

# ruff: noqa: I001
from argparse import ArgumentParser
from pathlib import Path

from mmengine.config import Config
from mmengine.device import get_device
from mmengine.runner import find_latest_checkpoint

from cbnet.engine.command_line import (
    build_runner,
    load_config,
    make_parser,
    parse,
    require_file,
    require_section,
)
from cbnet.engine.launch import finish_launch

EXAMPLES = """examples:
  python tools/train.py configs/cbnet/quickstart.py
  python tools/train.py configs/cbnet/dual_r50.py --work-dir runs/r50 --resume
  python tools/train.py configs/cbnet/dual_r50.py --auto-scale-lr \\
      --cfg-options train_dataloader.batch_size=4 data_root=data/coco/
  tools/dist_train.sh configs/cbnet/dual_r50.py 8
"""
AMP_DEVICES = ('cuda', 'npu', 'mlu', 'musa')


def use_mixed_precision(parser: ArgumentParser, cfg: Config) -> None:
    """Swap the optimizer wrapper for the device's mixed precision one."""
    wrapper = require_section(parser, cfg, 'optim_wrapper', '--amp')
    found = wrapper.get('type', 'OptimWrapper')
    if found not in ('OptimWrapper', 'AmpOptimWrapper', 'CpuAmpOptimWrapper'):
        parser.error(
            f'--amp replaces OptimWrapper, but the config has {found}; '
            'choose its precision in the config'
        )
    device = get_device()
    if device == 'cpu':
        for key in ('loss_scale', 'dtype', 'use_fsdp'):
            wrapper.pop(key, None)
        wrapper.type = 'CpuAmpOptimWrapper'
    elif device in AMP_DEVICES:
        wrapper.setdefault('loss_scale', 'dynamic')
        wrapper.type = 'AmpOptimWrapper'
    else:
        parser.error(f'--amp: mmengine has no mixed precision on {device}')


def scale_learning_rate(parser: ArgumentParser, cfg: Config) -> None:
    """Switch on mmengine's scaling by the batch size."""
    section = require_section(parser, cfg, 'auto_scale_lr', '--auto-scale-lr')
    if 'base_batch_size' not in section:
        parser.error(
            '--auto-scale-lr needs auto_scale_lr.base_batch_size in the '
            'config: the batch size, over all processes, of its lr'
        )
    section.enable = True


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


def main() -> None:
    """Read the command line and train."""
    parser = make_parser(__doc__, 'CONFIG', EXAMPLES)
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
        'auto_scale_lr.base_batch_size of the config',
    )
    args = parse(parser)
    cfg = load_config(parser, args)
    require_section(parser, cfg, 'train_dataloader', 'training')
    if args.amp:
        use_mixed_precision(parser, cfg)
    if args.auto_scale_lr:
        scale_learning_rate(parser, cfg)
    if args.resume:
        resume(parser, cfg, args.resume)
    build_runner(cfg).train()
    finish_launch()


if __name__ == '__main__':
    main()
