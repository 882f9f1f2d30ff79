"""Generate a data set, train a composite detector, show what it learned.

Fine-tunes the dual EfficientNet-Lite0 Mask R-CNN of
configs/cbnet/quickstart.py on generated shapes, evaluates it on others, and
writes a table and a sheet of pictures.  Everything goes below the current
folder: data/shapes and work_dirs/quickstart.  Run again after an
interruption, it goes on where it was.
"""

import argparse
import json
import re
import subprocess
import sys
import time
from collections import deque
from datetime import timedelta
from pathlib import Path
from typing import Any

from mmdet.registry import MODELS
from mmengine.config import Config, DictAction
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from mmengine.runner import (
    find_latest_checkpoint,
    save_checkpoint,
    set_random_seed,
)

from ..analysis.sheet import detection_sheet
from ..config_files import find_config
from ..datasets.generated.shapes import generate_shapes
from ..datasets.results import read_results

CONFIG = find_config('cbnet::cbnet/quickstart.py')
# The control: the same recipe on members that are random and stay so.
BASELINE = [
    'model.backbone.frozen=True',
    'model.backbone.member.init_cfg=None',
]
NO_VALIDATION = [
    f'val_{part}=None' for part in ('cfg', 'dataloader', 'evaluator')
]
METRICS = ('bbox_mAP', 'bbox_mAP_50', 'segm_mAP', 'segm_mAP_50')
# What a step costs, in steps of the main training, to tell the time left.
FROZEN_STEP, TEST_STEP = 0.5, 0.4


class Progress:
    """One line for each sign of life, with the time left for everything.

    Units are steps of the main training.  The rate is that of the steps
    seen so far; until there are any, a second is assumed for each.
    """

    def __init__(self, units: float) -> None:
        self.left = units
        self.done, self.spent, self.last = 0.0, 0.0, None

    def skip(self, units: float) -> None:
        """Take off what an earlier run has done."""
        self.left -= units

    def pause(self) -> None:
        """Do not count the time until the next call of ``advance``."""
        self.last = None

    def advance(self, units: float, line: str) -> None:
        """Count what was done since the last call; print the line."""
        now = time.monotonic()
        if self.last is not None:
            self.spent += now - self.last
            self.done += units
        self.last = now
        self.left = max(self.left - units, 0)
        rate = self.spent / self.done if self.done else 1.0
        left = timedelta(seconds=round(rate * self.left))
        print(f'  {line}  time left in all {left}', flush=True)


def run_tool(
    script: str,
    arguments: list[str],
    log: Path,
    unit: float,
    bar: Progress,
    done: int = 0,
) -> None:
    """Run a tool, show its steps from ``done`` on, keep its output."""
    command = [sys.executable, '-u', '-m', 'cbnet', script, *arguments]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    tail = deque(maxlen=15)
    bar.pause()  # the tool's start is no step
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with log.open('a') as file:
            for line in process.stdout:
                file.write(line)
                file.flush()
                tail.append(line)
                match = re.search(r'Iter\(\w+\) *\[ *(\d+)/(\d+)\]', line)
                if match is None:
                    continue
                step, last = map(int, match.groups())
                count, done = step - done, step
                loss = re.search(r' loss: ([\d.]+)', line)
                loss = f'  loss {float(loss[1]):.3f}' if loss else ''
                bar.advance(count * unit, f'step {step:>3} of {last}{loss}')
    except KeyboardInterrupt:
        process.wait()
        sys.exit('\ninterrupted; the same command goes on from here')
    if process.wait() != 0:
        sys.exit(f'{"".join(tail)}\n{script} failed; its output: {log}')


def train(
    folder: Path, steps: int, options: list[str], unit: float, bar: Progress
) -> str:
    """Train, or go on; return the last checkpoint."""
    found = find_latest_checkpoint(folder) if folder.exists() else None
    done = int(re.search(r'iter_(\d+)\.pth$', found)[1]) if found else 0
    bar.skip(done * unit)
    if done:
        print(f'  {done} of {steps} steps were done before')
    if done < steps:
        run_tool(
            'train',
            [str(CONFIG), '--work-dir', str(folder), '--resume']
            # Evaluation is a step of its own, so that it can be repeated.
            + ['--cfg-options', *NO_VALIDATION]
            + options,
            folder / 'train.log',
            unit,
            bar,
            done,
        )
    return find_latest_checkpoint(folder)


def evaluate(
    folder: Path,
    checkpoint: str,
    options: list[str],
    batches: int,
    bar: Progress,
) -> dict[str, float]:
    """Evaluate a checkpoint, or read what an earlier run found of it."""
    report = folder / 'metrics.json'
    of = dict(checkpoint=Path(checkpoint).name, options=options)
    earlier = json.loads(report.read_text()) if report.exists() else {}
    if earlier.get('of') == of:
        print(f'  evaluated before: {report}')
        bar.skip(batches * TEST_STEP)
        return earlier['metrics']
    prefix = f'test_evaluator.outfile_prefix={folder / "val"}'
    run_tool(
        'test',
        [str(CONFIG), checkpoint, '--work-dir', str(folder)]
        + ['--cfg-options', prefix, *options],
        folder / 'test.log',
        TEST_STEP,
        bar,
    )
    newest = max(folder.glob('*/*.json'), key=lambda file: file.name)
    metrics = json.loads(newest.read_text())
    metrics = {name: metrics[f'coco/{name}'] for name in METRICS}
    report.write_text(json.dumps(dict(of=of, metrics=metrics), indent=2))
    return metrics


def save_untrained(file: Path, cfg: Config) -> str:
    """Write the detector as training finds it: pretrained members, no more."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        # With a file, mmengine keeps its line for each parameter there.
        MMLogger.get_instance('untrained', log_file=str(file) + '.log')
        set_random_seed(cfg.randomness.seed)
        with DefaultScope.overwrite_default_scope('mmdet'):
            model = MODELS.build(cfg.model)
        model.init_weights()
        save_checkpoint(dict(state_dict=model.state_dict()), str(file))
    return str(file)


def write_table(file: Path, rows: dict[str, dict[str, float]]) -> str:
    """Write the results as a Markdown table."""
    lines = [
        '| detector | box AP | box AP50 | mask AP | mask AP50 |',
        '|---|---|---|---|---|',
    ]
    for title, metrics in rows.items():
        figures = ' | '.join(f'{metrics[name]:.3f}' for name in METRICS)
        lines.append(f'| {title} | {figures} |')
    table = '\n'.join(lines)
    file.write_text(table + '\n')
    return table


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        '--num-train', type=int, default=320, help='pictures to train on'
    )
    parser.add_argument(
        '--num-val', type=int, default=80, help='pictures to evaluate on'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='override settings of the config, in all runs; '
        'with another --work-dir than before',
    )
    parser.add_argument(
        '--work-dir',
        type=Path,
        default=Path('work_dirs', 'quickstart'),
        metavar='DIR',
        help='where checkpoints, logs and results go (default: %(default)s)',
    )
    return parser.parse_args()


def parse_options(options: list[str]) -> dict[str, Any]:
    """Read KEY=VALUE pairs as the tools do that they are passed on to."""
    parser = argparse.ArgumentParser()
    parser.add_argument('pairs', nargs='*', action=DictAction)
    return parser.parse_args(options).pairs or {}


def main() -> None:
    """Go through the steps; skip those that an earlier run finished."""
    args = parse_args()
    start, work_dir = time.monotonic(), args.work_dir
    options = args.cfg_options
    cfg = Config.fromfile(CONFIG)
    cfg.merge_from_dict(parse_options(options))
    steps = cfg.train_cfg.max_iters
    batches = -(-args.num_val // cfg.test_dataloader.batch_size)
    bar = Progress(steps * (1 + FROZEN_STEP) + 3 * batches * TEST_STEP)

    print('[1/5] the data set', flush=True)
    try:
        data = generate_shapes(cfg.data_root, args.num_train, args.num_val)
    except ValueError as error:
        sys.exit(f'error: {error}')

    print('[2/5] the detector before training', flush=True)
    untrained = save_untrained(work_dir / 'untrained' / 'start.pth', cfg)
    common = (options, batches, bar)
    rows = {
        'before training': evaluate(work_dir / 'untrained', untrained, *common)
    }

    print(f'[3/5] training: {steps} steps', flush=True)
    last = train(work_dir / 'trained', steps, options, 1.0, bar)
    trained = evaluate(work_dir / 'trained', last, *common)

    print('[4/5] the pictures', flush=True)
    sheet = detection_sheet(
        data / 'annotations' / 'instances_val.json',
        data / 'val',
        read_results(
            work_dir / 'trained' / 'val.bbox.json',
            work_dir / 'trained' / 'val.segm.json',
        ),
        work_dir / 'detections.png',
    )

    print('[5/5] the same recipe on a frozen random backbone', flush=True)
    options = [*options, *BASELINE]
    last = train(work_dir / 'baseline', steps, options, FROZEN_STEP, bar)
    rows['frozen random backbone'] = evaluate(
        work_dir / 'baseline', last, options, batches, bar
    )
    rows['trained'] = trained

    table = write_table(work_dir / 'results.md', rows)
    minutes = (time.monotonic() - start) / 60
    print(f'\n{table}\n\nafter {minutes:.1f} minutes; written:')
    print(f'  table     {work_dir / "results.md"}')
    print(f'  pictures  {sheet}')
    print(f'  detector  {find_latest_checkpoint(work_dir / "trained")}')
