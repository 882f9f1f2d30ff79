"""Check that a config can train on data, as ``cbnet check-data``."""

import json
import sys
from argparse import Namespace

from ..atomic_files import write_whole
from ..datasets.annotations import read_once
from ..datasets.coco_check import AnnotationError
from ..errors import UserError
from ..evaluation.data_report import DataReport, inspect_data
from ..messages import listed, number_of, one_line
from .command_line import (
    load_config,
    require_section,
)
from .train import use_own_data

_SHOWN = 20


def run(args: Namespace) -> None:
    """Check as the arguments say, print and write what was found."""
    cfg = load_config(args)
    require_section(cfg, 'train_dataloader', 'the check')
    report = DataReport()
    lines: list[str] = []
    try:
        with read_once():  # the options and the check read the same files
            # The learning rate is of no interest here.
            own = Namespace(**vars(args), auto_scale_lr=True)
            lines = use_own_data(own, cfg)
            inspect_data(cfg, report)
    except AnnotationError as error:
        report.problems += error.problems
    except UserError as error:
        report.problems.append(one_line(error))
    report.notes[:0] = lines
    print(*_describe(report), sep='\n')
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(report.as_json(), indent=1, allow_nan=False)
        write_whole(args.json, f'{text}\n'.encode())
        print(f'report: {args.json}')
    sys.exit(1 if report.problems else 0)


def _describe(report: DataReport) -> list[str]:
    lines = list(report.notes)
    for name, split in report.splits.items():
        lines += [f'{name}: {line}' for k in split.kept for line in k.lines()]
    if report.scores:
        perfect = (f'{kind} {s.ap:.3f}' for kind, s in report.scores.items())
        lines += [report.table(), f'perfect detections: {listed(perfect)}']
    lines += report.problems[:_SHOWN]
    rest = len(report.problems) - _SHOWN
    if rest > 0:
        lines.append(f'and {rest} more, which --json lists')
    number = number_of(len(report.problems), 'problems')
    return [*lines, number if report.problems else 'all is well']
