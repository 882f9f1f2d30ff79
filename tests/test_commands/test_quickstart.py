"""The quickstart, on four images and three steps.

1. it writes the data set, the table with its three rows, and the sheet;
2. interrupted after some steps, the same command goes on from there;
3. run again when all is done, it trains and evaluates nothing again.

The first call is a script that starts a process for each of its commands;
those after it run everything in this process, because imports take longest.
"""

import json
import subprocess
import sys
from pathlib import Path

from PIL import Image

from cbnet.commands import main as entry
from cbnet.commands.command_queue import CommandQueue

TOOL = Path(__file__).parents[2] / 'tools' / 'quickstart.py'
SMALL = ['--num-train', '4', '--num-val', '2', '--cfg-options']
SMALL += [
    f'{name}_dataloader.{key}'
    for name in ('train', 'test')
    for key in ('batch_size=1', 'num_workers=0', 'persistent_workers=False')
]
SMALL += [
    'default_hooks.checkpoint.interval=1',
    'default_hooks.logger.interval=1',
]


def run(folder, steps):
    done = subprocess.run(
        [sys.executable, TOOL, *SMALL, f'train_cfg.max_iters={steps}'],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run_here(queue, arguments, *args, **options):
    entry.main(arguments)


def test_from_nothing_to_a_table(tmp_path, run_command, monkeypatch):
    first = run(tmp_path, 1)
    work_dir = tmp_path / 'work_dirs' / 'quickstart'
    rows = (work_dir / 'results.md').read_text().splitlines()[2:]
    titles = [row.split('|')[1].strip() for row in rows]
    assert titles == ['before training', 'frozen random backbone', 'trained']
    assert all(row.count('|') == 6 for row in rows)
    assert 'step   1 of 1  loss' in first and 'time left in all' in first
    assert rows[-1] in first
    with Image.open(work_dir / 'detections.png') as sheet:
        assert min(sheet.size) > 300
    assert json.loads(
        (tmp_path / 'data/shapes/annotations/instances_train.json').read_text()
    )['images'][3]

    # As after an interruption: one step done, what comes after it is not.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(CommandQueue, 'run', run_here)
    again = ['quickstart', *SMALL, 'train_cfg.max_iters=2']
    status, second = run_command(*again)
    assert status == 0, second
    assert second.count('1 of 2 steps were done before') == 2
    assert second.count('Iter(train) [2/2]') == 2
    assert 'Iter(train) [1/2]' not in second
    assert second.count('evaluated before') == 0  # of other steps
    for name in ('trained', 'baseline'):
        assert (work_dir / name / 'iter_2.pth').exists()

    status, third = run_command(*again)
    assert status == 0 and third.count('evaluated before') == 3
    assert 'Iter(' not in third
    assert rows[0] in third
