"""Evaluate a checkpoint, as ``cbnet test``."""

from argparse import Namespace

from ..analysis.visualizing import use_plain_texts
from ..compat.mmengine_internals import name_dumped_config
from ..datasets.data_check import check_data
from ..datasets.loader_check import check_loaders
from ..engine.fast_inference import add_fast_inference
from ..engine.guards import add_guards
from ..engine.launch import finish_launch, is_first
from ..engine.loader_threads import leave_cpus
from ..engine.run_length_masks import add_run_length_masks
from ..errors import UserValueError
from ..evaluation.dump import DumpRunLengths
from ..tta.config import add_tta
from .command_line import (
    build_runner,
    load_config,
    require_section,
)


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
        # mmdet puts a relative folder below work_dir.
        folder = str(args.show_dir.absolute())
        hooks.visualization.update(draw=True, test_out_dir=folder)
    if args.batch_size:
        cfg.test_dataloader.batch_size = args.batch_size
    lines = check_loaders(cfg, 'test')
    lines += leave_cpus(cfg, getattr(args, 'threads', None), 'test')
    if is_first(cfg.launcher):
        lines += check_data(cfg, 'test')
        print(*lines, sep='\n', end='\n' if lines else '', flush=True)
    if args.tta or args.tta_scales:
        views = add_tta(cfg, args.tta_scales)
        if is_first(cfg.launcher):
            print(f'test-time augmentation: {views} views of an image')
    if args.fast:
        add_fast_inference(cfg)
    use_plain_texts()
    add_guards(cfg, training=False, verify=args.verify)
    add_run_length_masks(cfg, args.full_masks)
    name_dumped_config(cfg, 'test')
    runner = build_runner(cfg)
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        dump = DumpRunLengths(out_file_path=str(args.out))
        runner.test_evaluator.metrics.append(dump)
    runner.test()
    runner.model.train()  # caches log what they found when the mode changes
    finish_launch()
