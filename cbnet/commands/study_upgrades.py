"""Compare ways to go on with a trained detector."""

from argparse import Namespace

from ..errors import UserError
from ..studies.report import write_report
from .study_plan import make_plan
from .study_runs import UpgradeStudy


def run(args: Namespace) -> None:
    """Go through all runs; skip those that an earlier call finished."""
    study = UpgradeStudy(args, make_plan(args))
    with study.runs.queue:
        for seed in args.seeds:
            study.run(seed)
            tables, files = write_report(args.out_dir)
    print(f'\n{tables}\n\nwritten: {", ".join(map(str, files))}')
    if study.failed:
        raise UserError(
            f'{len(study.failed)} of the runs failed '
            f'({", ".join(study.failed)}); their logs are in {args.out_dir}, '
            f'and the same command tries them again'
        )
