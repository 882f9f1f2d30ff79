"""Find out which backbone to take, as ``cbnet battle``."""

from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import torch

from ..battle.budgets import read_budget
from ..battle.charts import require_packages
from ..battle.configs import PROTOCOLS
from ..battle.report import write_page, write_tables
from ..battle.results import collect
from ..errors import UserError
from ..messages import command
from .battle_estimate import estimate
from .battle_plan import make_plan
from .battle_runs import Battle, RunOptions
from .battle_slurm import slurm_script
from .run_lock import locked


def run(args: Namespace) -> None:
    """Go through all runs; skip those that an earlier call finished."""
    args.budget = args.budget or read_budget(PROTOCOLS[args.protocol].budget)
    require_packages()
    plan = make_plan(args)
    devices = max(len(set(args.devices)), 1)
    jobs = args.jobs or devices
    print(estimate(plan, devices, jobs, args.price_per_hour), flush=True)
    if args.slurm:
        slurm_script(args.slurm, len(plan.contests))
        start = command('sbatch', args.slurm)
        print(f'written: {args.slurm}; start it with: {start}')
        if not torch.cuda.is_available():
            steps = ', and with them the steps of --budget,'
            print(
                f'the costs{steps * (args.budget.kind == "seconds")} were '
                f'measured on the CPU of this machine; for jobs on GPUs, '
                f'call this where there is such a GPU'
            )
    if args.dry_run or args.slurm:
        return
    images = {
        one.data.name: one.data.splits['test'].images for one in plan.contests
    }
    if args.only:
        first, number = args.only
        chosen = plan.contests[first - 1 :: number]
        plan = replace(plan, contests=chosen)

    def tables() -> list[Path]:
        return write_tables(collect(args.out, args.reference), args.out)

    options = RunOptions(args.devices, jobs, args.bootstrap, args.retry_failed)
    battle = Battle(plan, options, tables)
    with battle.queue:
        battle.run()
    # Of several commands that end at a time, the last one knows all results.
    with locked(args.out, wait=True):
        page = write_page(collect(args.out, args.reference), args.out, images)
        files = [*tables(), page]
    print(f'written: {", ".join(map(str, files))}')
    if battle.left:
        print(
            f'runs that are left to other processes: {battle.left}; when '
            f'these have ended, the same command adds them to the report'
        )
    if battle.failed:
        raise UserError(
            f'{battle.failed} of the runs failed; their rows in the report '
            f'say why, and --retry-failed tries them again'
        )
