"""Train beside other busy processes, with and without settled threads.

Times steps of the quickstart's detector: on the machine as it is, and beside
processes that do nothing but compute; in a process with the threads that cbnet
settles, and in one with those of torch itself. The seconds of the
CPU that a step uses tell what spinning threads waste, even where the machine
is shared.

Examples:
  python tools/analysis_tools/busy_machine.py --out busy.json
"""

import json
import os
import subprocess
import sys
from argparse import (
    SUPPRESS,
    ArgumentParser,
    Namespace,
    RawDescriptionHelpFormatter,
)
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

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
    # What this tool calls itself with.
    parser.add_argument('--child', choices=['settled', 'torch'], help=SUPPRESS)
    return parser


def main(args: Namespace) -> None:
    """Run both processes; print and write what they found."""
    rows = []
    for kind in ('settled', 'torch'):
        command = [sys.executable, __file__, '--child', kind]
        command += ['--busy', str(args.busy), '--steps', str(args.steps)]
        done = subprocess.run(
            command,
            env=without_settings(),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        rows += json.loads(done.stdout.splitlines()[-1])
        for row in rows[-2:]:
            print(
                f'{kind:8} {row["threads"]} threads beside {row["busy"]} busy '
                f'processes: {row["cpu"]:.2f} s of the CPU and '
                f'{row["wall"]:.2f} s a step',
                flush=True,
            )
    if args.out:
        args.out.write_text(json.dumps(rows, indent=1) + '\n')


def without_settings() -> dict[str, str]:
    """Give the environment without variables about threads."""
    ours = ('OMP_', 'MKL_', 'KMP_', 'GOMP_', 'CBNET_')
    return {k: v for k, v in os.environ.items() if not k.startswith(ours)}


def child(kind: str, args: Namespace) -> None:
    """Time steps, then steps beside busy processes; print medians."""
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
    rows = []
    for number in (0, args.busy):
        busy = [subprocess.Popen(BUSY) for _ in range(number)]
        try:
            steps = [
                timed(time_step, detector, batch)
                for _ in range(args.steps + 1)
            ]
        finally:
            for one in busy:
                one.kill()
                one.wait()
        walls, cpus = zip(*steps[1:], strict=True)
        rows.append(
            dict(
                kind=kind,
                threads=torch.get_num_threads(),
                busy=number,
                cpu=median(cpus),
                wall=median(walls),
            )
        )
    print(json.dumps(rows))


def timed(step: Callable[..., float], *arguments: Any) -> tuple[float, float]:
    """Return the seconds of the clock and of the CPU of a step."""
    before = process_time()
    return step(*arguments), process_time() - before


if __name__ == '__main__':
    given = make_parser().parse_args()
    if given.child:
        child(given.child, given)
    else:
        main(given)
