"""Train beside other busy processes, with and without settled threads.

Times steps of the quickstart's detector in processes of their own: on the
machine as it is, and beside processes that do nothing but compute; with the
threads that cbnet settles, and with those of torch itself. The seconds of the
CPU that a step uses tell what spinning threads waste, even where the machine
is shared.

Examples:
  python tools/analysis_tools/busy_machine.py --out busy.json
"""

import json
import os
import subprocess
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from itertools import product
from pathlib import Path
from statistics import median
from time import process_time

from cbnet_command import prepare

CONFIG = 'cbnet::cbnet/quickstart.py'
BUSY = [sys.executable, '-c', 'while True: pass']


def make_parser() -> ArgumentParser:
    """Make the parser."""
    parser = ArgumentParser(
        description=__doc__, formatter_class=RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--busy', type=int, default=8, metavar='N',
        help='the number of busy processes (default: 8)',
    )  # fmt: skip
    parser.add_argument(
        '--steps', type=int, default=5, metavar='N',
        help='the steps that a process times (default: 5)',
    )  # fmt: skip
    parser.add_argument('--out', type=Path, metavar='FILE.json')
    parser.add_argument('--child', choices=['settled', 'torch'],
                        help='what this tool calls itself with')  # fmt: skip
    return parser


def main(args: Namespace) -> None:
    """Run the processes in turn; print and write medians."""
    rows = []
    for number, kind in product((0, args.busy), ('settled', 'torch')):
        busy = [subprocess.Popen(BUSY) for _ in range(number)]
        try:
            steps = measured(kind, args.steps)
        finally:
            for one in busy:
                one.kill()
                one.wait()
        row = dict(
            threads=kind,
            number=steps[0]['threads'],
            busy=number,
            cpu=median(one['cpu'] for one in steps),
            wall=median(one['wall'] for one in steps),
        )
        rows.append(row)
        print(
            f'{kind:8} {row["number"]} threads, {number} busy processes: '
            f'{row["cpu"]:.2f} s of the CPU and {row["wall"]:.2f} s a step',
            flush=True,
        )
    if args.out:
        args.out.write_text(json.dumps(rows, indent=1) + '\n')


def measured(kind: str, steps: int) -> list[dict[str, float]]:
    """Time the steps of a process without variables about threads."""
    kept = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith(('OMP_', 'MKL_', 'KMP_', 'GOMP_', 'CBNET_'))
    }
    command = [
        sys.executable,
        __file__,
        '--child',
        kind,
        '--steps',
        str(steps),
    ]
    done = subprocess.run(
        command, env=kept, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def child(kind: str, steps: int) -> None:
    """Print the time of each step."""
    if kind == 'torch':
        import cbnet  # noqa: F401
    else:
        prepare()
    import torch
    from mmengine.config import Config

    from cbnet.analysis.complexity.step import time_step
    from cbnet.config_files import find_config
    from cbnet.engine.verification import build_detector
    from cbnet.testing import make_batch

    detector = build_detector(Config.fromfile(find_config(CONFIG)), {}).train()
    batch = make_batch((5, 5), (256, 320), num_classes=1)
    found = []
    for _ in range(steps + 1):
        before = process_time()
        wall = time_step(detector, batch)
        cpu = process_time() - before
        found.append(dict(wall=wall, cpu=cpu, threads=torch.get_num_threads()))
    print(json.dumps(found[1:]))


if __name__ == '__main__':
    given = make_parser().parse_args()
    if given.child:
        child(given.child, given.steps)
    else:
        main(given)
