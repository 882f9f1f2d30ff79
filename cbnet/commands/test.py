r"""Evaluate a checkpoint with the test set and the metrics of a config.

Examples:
  cbnet test configs/cbnet/quickstart.py \
      work_dirs/quickstart/iter_320.pth --show-dir figures
  cbnet test configs/cbnet/dual_r50.py dual_r50.pth --out boxes.pkl
  cbnet test configs/cbnet/quickstart.py \
      work_dirs/quickstart/iter_320.pth --tta-scales 256,205 320,256 384,307
  torchrun --nproc_per_node 8 -m cbnet test configs/cbnet/dual_r50.py \
      dual_r50.pth --launcher pytorch
"""

from argparse import Namespace
from pathlib import Path

from mmdet.evaluation import DumpDetResults

from ..analysis.visualizing import use_plain_texts
from ..compat.mmengine_internals import name_dumped_config
from ..datasets.data_check import check_data
from ..datasets.loader_check import check_loaders
from ..engine.guards import add_guards
from ..engine.launch import finish_launch, is_first
from ..errors import UserValueError
from ..tta.config import add_tta
from .argument_types import ends_in, file_or_address
from .command_line import (
    add_tta_options,
    add_verify_option,
    build_runner,
    load_config,
    require_section,
    run_parser,
)
from .command_parser import CommandParser


def make_parser() -> CommandParser:
    """Describe the command line."""
    parser = run_parser(__name__, __doc__, 'CONFIG CHECKPOINT')
    parser.option(
        'checkpoint', 'the file or address of the weights', file_or_address
    )
    parser.option(
        '--out FILE',
        'also write the predictions as a pickle file (.pkl): a list '
        'with one dict per image, masks as COCO run lengths',
        ends_in('.pkl', '.pickle'),
    )
    parser.option(
        '--show-dir DIR',
        'also write one figure per image, with the ground truth on the '
        'left and the detections on the right',
        Path,
    )
    add_tta_options(parser)
    add_verify_option(parser)
    return parser


def run(args: Namespace) -> None:
    """Evaluate as the arguments say."""
    cfg = load_config(args)
    require_section(cfg, 'test_dataloader', 'testing')
    cfg.load_from = args.checkpoint
    cfg.resume = False
    if args.show_dir:
        hooks = require_section(cfg, 'default_hooks', '--show-dir')
        if 'visualization' not in hooks:
            raise UserValueError(
                '--show-dir needs default_hooks.visualization in the config: '
                "dict(type='DetVisualizationHook')"
            )
        for above in (args.show_dir, *args.show_dir.parents):
            if above.exists() and not above.is_dir():
                raise UserValueError(f'--show-dir: {above} is a file')
        # mmdet puts a relative folder below work_dir.
        folder = str(args.show_dir.absolute())
        hooks.visualization.update(draw=True, test_out_dir=folder)
    lines = check_loaders(cfg, 'test')
    if is_first(cfg.launcher):
        lines += check_data(cfg, 'test')
        print(*lines, sep='\n', end='\n' if lines else '', flush=True)
    if args.tta or args.tta_scales:
        views = add_tta(cfg, args.tta_scales)
        if is_first(cfg.launcher):
            print(f'test-time augmentation: {views} views of an image')
    use_plain_texts()
    add_guards(cfg, training=False, verify=args.verify)
    name_dumped_config(cfg, 'test')
    runner = build_runner(cfg)
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        dump = DumpDetResults(out_file_path=str(args.out))
        runner.test_evaluator.metrics.append(dump)
    runner.test()
    runner.model.train()  # caches log what they found when the mode changes
    finish_launch()
