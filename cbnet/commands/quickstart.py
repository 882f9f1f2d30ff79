"""Generate a data set, train on it, show what was learned."""

import time
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from mmengine.runner import save_checkpoint, set_random_seed

from ..analysis.sheet import detection_sheet
from ..datasets.generated.shapes import generate_shapes
from ..datasets.results import read_results
from ..text_tables import text_table
from .command_line import load_config
from .command_queue import CommandQueue
from .options import config_parser
from .overrides import text_override
from .publish import publish
from .runs import TEST_STEP, Runs

CONFIG = 'cbnet::cbnet/quickstart.py'
# The control: the same recipe on members that are random and stay so.
BASELINE = [
    'model.backbone.frozen=True',
    'model.backbone.member.init_cfg=None',
]
METRICS = {
    'coco/bbox_mAP': 'box AP',
    'coco/bbox_mAP_50': 'box AP50',
    'coco/segm_mAP': 'mask AP',
    'coco/segm_mAP_50': 'mask AP50',
}
# The cost of a step of the control, in steps of the main training.
FROZEN_STEP = 0.5


class Quickstart:
    """The runs of the quickstart: each is done once and then found again.

    Args:
        args: the arguments of the command.
        cfg: the config with the overrides of the arguments.
    """

    def __init__(self, args: Namespace, cfg: Config) -> None:
        self.folder = args.work_dir
        self.options = args.cfg_options
        self.steps = cfg.train_cfg.max_iters
        self.batches = -(-args.num_val // cfg.test_dataloader.batch_size)
        self.queue = CommandQueue(
            self.steps * (1 + FROZEN_STEP) + 3 * self.batches * TEST_STEP
        )
        self.runs = Runs(self.queue)

    def train(
        self, name: str, cost: float = 1.0, extra: Sequence[str] = ()
    ) -> str:
        """Train, or continue an earlier run; give the last checkpoint."""
        folder, options = self.folder / name, [*self.options, *extra]
        return self.runs.train(CONFIG, folder, self.steps, options, cost)

    def evaluate(
        self, name: str, checkpoint: str, extra: Sequence[str] = ()
    ) -> dict[str, float]:
        """Evaluate a checkpoint, or read the metrics from an earlier run."""
        folder = self.folder / name
        prefix = text_override('test_evaluator.outfile_prefix', folder / 'val')
        options = [prefix, *self.options, *extra]
        return self.runs.evaluate(
            CONFIG, checkpoint, folder, self.batches, options
        )


def save_untrained(file: Path, cfg: Config) -> str:
    """Write the detector as training starts from it; give the file."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        # mmengine logs a line per parameter; this keeps them in a file.
        MMLogger.get_instance('untrained', log_file=f'{file}.log')
        set_random_seed(cfg.randomness.seed)
        with DefaultScope.overwrite_default_scope('mmdet'):
            model = MODELS.build(cfg.model)
        model.init_weights()
        save_checkpoint(dict(state_dict=model.state_dict()), str(file))
    return str(file)


def read_config(options: list[str]) -> Config:
    """Read the config with the overrides, as ``cbnet train`` does."""
    overrides = ['--cfg-options', *options] if options else []
    parser = config_parser(__name__, __doc__, '')
    return load_config(parser.parse_args([CONFIG, *overrides]))


def run(args: Namespace) -> None:
    """Go through the steps; skip those that an earlier run finished."""
    cfg = read_config(args.cfg_options)
    start, work_dir = time.monotonic(), args.work_dir
    runs = Quickstart(args, cfg)
    with runs.queue:
        print('[1/5] the data set', flush=True)
        data = generate_shapes(cfg.data_root, args.num_train, args.num_val)

        print('[2/5] the detector before training', flush=True)
        last = save_untrained(work_dir / 'untrained' / 'start.pth', cfg)
        untrained = runs.evaluate('untrained', last)

        print(f'[3/5] training: {runs.steps} steps', flush=True)
        final = runs.train('trained')
        trained = runs.evaluate('trained', final)

        print('[4/5] the detections', flush=True)
        results = (f'val.{kind}.json' for kind in ('bbox', 'segm'))
        sheet = detection_sheet(
            data / 'annotations' / 'instances_val.json',
            data / 'val',
            read_results(*(work_dir / 'trained' / name for name in results)),
            work_dir / 'detections.png',
        )

        published = publish(
            Path(final), work_dir / 'detector.pth', cfg, CONFIG
        )

        print('[5/5] the same recipe on a frozen random backbone', flush=True)
        last = runs.train('baseline', FROZEN_STEP, BASELINE)
        baseline = runs.evaluate('baseline', last, BASELINE)

    rows = {
        'before training': untrained,
        'frozen random backbone': baseline,
        'trained': trained,
    }
    table = text_table(
        ['detector', *METRICS.values()],
        [
            [title, *(f'{metrics[name]:.3f}' for name in METRICS)]
            for title, metrics in rows.items()
        ],
    )
    (work_dir / 'results.md').write_text(table + '\n')
    minutes = (time.monotonic() - start) / 60
    print(f'\n{table}\n\nafter {minutes:.1f} minutes; written:')
    print(f'  table       {work_dir / "results.md"}')
    print(f'  detections  {sheet}')
    print(f'  detector    {published}')
