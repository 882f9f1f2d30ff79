"""Read the results of the runs in a folder; write tables and a figure."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..atomic_files import write_whole
from .costs import Cost
from .figure import draw_results
from .results import Result, cost_table, result_table

#: what an evaluation leaves in its folder
RESULT = 'result.json'
#: what a measurement of steps leaves in the folder of a study
COSTS = 'costs.json'
_REPORT = 'results.md', 'results.json', 'results.png'


def read_result(folder: Path) -> dict[str, Any]:
    """Read what an evaluation left; empty if there was none.

    Returns:
        ``of``, what was evaluated, and its ``metrics`` by name.
    """
    report = folder / RESULT
    return json.loads(report.read_text()) if report.exists() else {}


def read_costs(folder: Path) -> dict[str, Cost]:
    """Read the costs of the arms of a study; empty if there are none."""
    file = folder / COSTS
    known = json.loads(file.read_text()) if file.exists() else {}
    return {arm: Cost(**cost) for arm, cost in known.items()}


def write_costs(costs: dict[str, Cost], folder: Path) -> None:
    """Write the costs of the arms of a study, in the order of the tables."""
    content = {arm: vars(cost) for arm, cost in costs.items()}
    write_whole(folder / COSTS, json.dumps(content, indent=2).encode())


def collect(folder: Path) -> Iterator[Result]:
    """Yield the results of all runs: ``seed-<n>/<arm>/<budget>``."""
    for file in sorted(folder.glob(f'seed-*/*/*/{RESULT}')):
        run = file.parent
        seed = int(run.parents[1].name.removeprefix('seed-'))
        metrics = read_result(run)['metrics']
        yield Result(run.parent.name, run.name, seed, metrics)


def write_report(folder: Path) -> tuple[str, list[Path]]:
    """Write the tables and the figure of what is done.

    Returns:
        The tables, and the files.
    """
    results, costs = [*collect(folder)], read_costs(folder)
    seeds = len({result.seed for result in results})
    text = f'{result_table(results, costs, seeds)}\n\n{cost_table(costs)}'
    files = [folder / name for name in _REPORT]
    write_whole(files[0], f'{text}\n'.encode())
    content = dict(
        results=[vars(result) for result in results],
        costs={arm: vars(cost) for arm, cost in costs.items()},
    )
    write_whole(files[1], json.dumps(content, indent=2).encode())
    draw_results(results, costs).savefig(files[2])
    return text, files
