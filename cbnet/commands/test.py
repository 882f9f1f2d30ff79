"""Evaluate a checkpoint with the test set and the metrics of a config."""

from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

from mmdet.evaluation import DumpDetResults
from mmengine.config import Config

from ..datasets.data_check import check_data
from ..engine.guards import add_guards
from ..engine.launch import finish_launch, is_first
from ..tta.config import add_tta
from .command_line import (
    build_runner,
    load_config,
    parse,
    require_file,
    require_section,
    run_parser,
)
from .tta_options import add_tta_options

EXAMPLES = """examples:
  cbnet test configs/cbnet/quickstart.py \\
      work_dirs/quickstart/iter_320.pth --show-dir figures
  cbnet test configs/cbnet/dual_r50.py dual_r50.pth --out boxes.pkl
  cbnet test configs/cbnet/quickstart.py \\
      work_dirs/quickstart/iter_320.pth --tta-scales 256,205 320,256 384,307
  torchrun --nproc_per_node 8 -m cbnet test configs/cbnet/dual_r50.py \\
      dual_r50.pth --launcher pytorch
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Evaluate as the arguments say.

    Raises:
        UserError: the data or the weights end the run.
    """
    parser = make_parser()
    args = parse(parser, argv)
    require_file(parser, 'checkpoint', args.checkpoint)
    if args.out and not args.out.endswith(('.pkl', '.pickle')):
        parser.error(f'--out: {args.out} must end in .pkl or .pickle')
    cfg = load_config(parser, args)
    require_section(parser, cfg, 'test_dataloader', 'testing')
    cfg.load_from = args.checkpoint
    cfg.resume = False
    if args.show_dir:
        hooks = require_section(parser, cfg, 'default_hooks', '--show-dir')
        if 'visualization' not in hooks:
            parser.error(
                '--show-dir needs default_hooks.visualization in the config: '
                "dict(type='DetVisualizationHook')"
            )
        # mmdet puts a relative folder below work_dir.
        folder = str(Path(args.show_dir).absolute())
        hooks.visualization.update(draw=True, test_out_dir=folder)
    if is_first(cfg.launcher):
        check_data(cfg, 'test')
    if args.tta or args.tta_scales:
        views = add_tta(cfg, args.tta_scales)
        if is_first(cfg.launcher):
            print(f'test-time augmentation: {views} views of an image')
    add_guards(cfg, training=False)
    evaluate(cfg, args.out)
    finish_launch()


def make_parser() -> ArgumentParser:
    """Make the parser of the command."""
    parser = run_parser('test', 'CONFIG CHECKPOINT', __doc__, EXAMPLES)
    parser.add_argument(
        'checkpoint', help='the file or address of the weights'
    )
    parser.add_argument(
        '--out',
        metavar='FILE',
        help='also write the predictions as a pickle file (.pkl): a list '
        'with one dict per image, masks as COCO run lengths',
    )
    parser.add_argument(
        '--show-dir',
        metavar='DIR',
        help='also write one figure per image, with the ground truth on the '
        'left and the detections on the right',
    )
    add_tta_options(parser)
    return parser


def evaluate(cfg: Config, out: str | None) -> None:
    """Run the test; write the predictions to the file ``out``, if any."""
    runner = build_runner(cfg)
    if out:
        Path(out).absolute().parent.mkdir(parents=True, exist_ok=True)
        dump = DumpDetResults(out_file_path=out)
        runner.test_evaluator.metrics.append(dump)
    runner.test()
