"""The arithmetic and the tables of a study, by hand-computed values.

1. The interval is Student's: mean and half width of three values, and of one.
2. Gains are paired over seeds, also where a seed of one arm is missing.
3. The table has a row for each arm and budget that is done.
4. Costs are ratios to going on alone.
"""

import pytest

from cbnet.studies.costs import Cost
from cbnet.studies.figure import draw_results
from cbnet.studies.results import Result, Results, cost_table, result_table
from cbnet.studies.statistics import interval


def test_interval():
    # The mean is 2, the deviation 1, and t(0.975; 2) is 4.302653.
    mean, half = interval([1.0, 2.0, 3.0])
    assert mean == 2
    assert half == pytest.approx(4.302653 / 3**0.5, rel=1e-6)
    assert interval([0.5, 0.5]) == (0.5, 0)
    assert interval([0.25]) == (0.25, None)


def result(arm, budget, seed, box):
    return Result(arm, budget, seed, {'coco/bbox_mAP': box, 'coco/x': 9.0})


RESULTS = [
    *(result('alone', 'start', s, v) for s, v in enumerate((0.1, 0.2, 0.3))),
    *(result('alone', 'steps', s, v) for s, v in enumerate((0.2, 0.3, 0.4))),
    *(result('frozen', 'start', s, v) for s, v in enumerate((0.1, 0.2, 0.3))),
    *(result('frozen', 'steps', s, v) for s, v in enumerate((0.3, 0.5, 0.7))),
    result('frozen', 'time', 2, 0.6),
]
COSTS = {
    'alone': Cost(0.5, 1.0, 2_000_000, 3_000_000, 4_000_000),
    'frozen': Cost(0.75, 1.5, 3_000_000, 3_500_000, 9_000_000),
}


def test_gains_are_paired():
    found = Results(RESULTS, 'bbox_mAP')
    assert found.gain('frozen', 'steps') == pytest.approx([0.1, 0.2, 0.3])
    assert found.gain('frozen', 'time') == pytest.approx([0.2])
    assert not Results(RESULTS, 'segm_mAP').values


def cells(table):
    lines = table.splitlines()
    return [
        [cell.strip() for cell in line.split('|')[1:-1]]
        for line in lines[:1] + lines[2:]
    ]


def test_results():
    # Half of the interval of 0.1, 0.2, 0.3 is 4.302653 * 0.1 / sqrt(3).
    assert cells(result_table(RESULTS, COSTS, 3))[1:] == [
        ['alone', 'equal steps', '3 of 3', '0.200', '0.300', '-'],
        ['frozen', 'equal steps', '3 of 3', '0.200', '0.500',
         '+0.200 ± 0.248'],
        ['frozen', 'equal time', '1 of 3', '0.200', '0.600', '+0.200'],
    ]  # fmt: skip


def test_costs():
    assert cells(cost_table(COSTS))[1:] == [
        ['alone', '0.50', '1.00', '2.0', '1.00', '3.00', '4.00'],
        ['frozen', '0.75', '1.50', '3.0', '1.50', '3.50', '9.00'],
    ]


def test_figure():
    (axes,) = draw_results(RESULTS, COSTS).axes
    points = [
        [float(x) for x in line.get_xdata()]
        for line in axes.lines
        if line.get_marker() in ('o', 's') and len(line.get_xdata())
    ]
    assert points == [[0.2, 0.3, 0.4], [0.3, 0.5, 0.7], [0.6]]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ['alone', 'frozen']
