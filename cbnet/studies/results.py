"""Lay out what the runs of a study have found."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..text_tables import text_table
from .costs import Cost
from .numbers import plus_minus
from .statistics import interval

#: the end of a metric's name -> what tables call it
METRICS = {'bbox_mAP': 'box AP', 'segm_mAP': 'mask AP'}
#: the arm that the others are compared with
ALONE = 'alone'
BUDGETS = {'steps': 'equal steps', 'time': 'equal time'}


@dataclass(frozen=True)
class Result:
    """What one run has found.

    Attributes:
        arm: the arm.
        budget: a key of ``BUDGETS``; ``start`` before the further training.
        seed: the seed.
        metrics: all metrics by name.
    """

    arm: str
    budget: str
    seed: int
    metrics: Mapping[str, float]

    def ap(self, metric: str) -> float | None:
        """Return the metric whose name ends so, or None."""
        found = (v for k, v in self.metrics.items() if k.endswith(metric))
        return next(found, None)


class Results:
    """The results of a study, by arm, budget and seed.

    Args:
        results: the results of all runs that are done.
        metric: the end of the metric's name.
    """

    def __init__(self, results: Iterable[Result], metric: str) -> None:
        self.values: dict[tuple[str, str], dict[int, float]] = {}
        for result in results:
            value = result.ap(metric)
            if value is not None:
                key = result.arm, result.budget
                self.values.setdefault(key, {})[result.seed] = value

    def of(self, arm: str, budget: str) -> dict[int, float]:
        """Return the value of each seed.

        The arm that goes on alone has the same steps at either budget.
        """
        budget = 'steps' if (arm, budget) == (ALONE, 'time') else budget
        return self.values.get((arm, budget), {})

    def gain(self, arm: str, budget: str) -> list[float]:
        """Return the difference to going on alone, of each seed."""
        own, alone = self.of(arm, budget), self.of(ALONE, 'steps')
        return [own[seed] - alone[seed] for seed in own if seed in alone]


def result_table(
    results: Sequence[Result], costs: Mapping[str, Cost], seeds: int
) -> str:
    """Lay out the AP of each arm, in Markdown.

    Args:
        results: the results.
        costs: the cost of each arm, in the order of the rows.
        seeds: the number of seeds that are wanted.
    """
    found = {name: Results(results, end) for end, name in METRICS.items()}
    found = {name: one for name, one in found.items() if one.values}
    head = ['detector', 'further training', 'seeds']
    for name in found:
        head += [f'{name} at the start', f'{name} at the end', 'gain']
    rows = []
    for arm in costs:
        for budget, title in BUDGETS.items():
            done = max(len(one.of(arm, budget)) for one in found.values())
            if (arm, budget) == (ALONE, 'time') or not done:
                continue
            row = [arm, title, f'{done} of {seeds}']
            for one in found.values():
                start, end = one.of(arm, 'start'), one.of(arm, budget)
                gain = one.gain(arm, budget) if arm != ALONE else []
                row += [_mean(start), _mean(end), _gain(gain)]
            rows.append(row)
    return text_table(head, rows, left=(0, 1))


def _mean(values: Mapping[int, float]) -> str:
    return f'{interval([*values.values()])[0]:.3f}' if values else '-'


def _gain(values: Sequence[float]) -> str:
    return plus_minus(*interval(values), '{:+.3f}') if values else '-'


def cost_table(costs: Mapping[str, Cost]) -> str:
    """Lay out what a step of each arm costs, in Markdown."""
    head = [
        'detector', 'time of a step [s]', 'ratio', 'activations kept [MB]',
        'ratio', 'trained [M]', 'parameters [M]',
    ]  # fmt: skip
    kept = costs[ALONE].kept
    rows = [
        [
            arm,
            f'{cost.seconds:.2f}',
            f'{cost.ratio:.2f}',
            f'{cost.kept / 1e6:.1f}',
            f'{cost.kept / kept:.2f}' if kept else '-',
            f'{cost.trained / 1e6:.2f}',
            f'{cost.parameters / 1e6:.2f}',
        ]
        for arm, cost in costs.items()
    ]
    return text_table(head, rows)
