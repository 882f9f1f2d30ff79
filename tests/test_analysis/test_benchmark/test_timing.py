"""Times in turn, their ratios, and the parts of a pass.

- candidates alternate, and every other round goes backwards;
- a ratio is that of neighbours, so that a slow hour of both changes nothing;
- a second belongs to the innermost part, and the parts add up to the pass.
"""

import pytest

from cbnet.analysis.benchmark.parts import PartClock
from cbnet.analysis.complexity.timing import (
    CLOCKS,
    Times,
    alternate,
    ratio,
    timed,
)


@pytest.fixture
def ticks(monkeypatch):
    """A clock that moves only when it is told to."""
    now = [0.0]
    monkeypatch.setitem(CLOCKS, 'wall', lambda: now[0])

    def tick(seconds):
        now[0] += seconds

    return tick


def test_alternation():
    order = []

    def call(name):
        return lambda: order.append(name) or float(len(order))

    times = alternate({n: call(n) for n in 'abc'}, rounds=3, warm_up=1)
    assert ''.join(order) == 'abc' + 'abc' + 'cba' + 'abc'
    assert times['a'].seconds == (4.0, 9.0, 10.0)


def test_median_and_p95():
    times = Times(tuple(float(n) for n in range(101)))
    assert (times.median, times.p95) == (50.0, 95.0)


def test_ratio_of_neighbours():
    reference = Times((1.0, 10.0, 100.0, 1.0, 1.0))
    found = ratio(Times((2.0, 20.0, 200.0, 3.0, 1.0)), reference)
    assert (found.low, found.median, found.high) == (2.0, 2.0, 2.0)
    found = ratio(Times((1.0, 20.0, 300.0, 4.0, 5.0)), reference)
    assert (found.low, found.median, found.high) == (2.0, 3.0, 4.0)
    halved = found / 2
    assert (halved.low, halved.median, halved.high) == (1.0, 1.5, 2.0)


def test_timed(ticks, cpu):
    assert timed(lambda: ticks(3.0), cpu) == 3.0


def test_parts_are_those_innermost(ticks):
    clock = PartClock()
    with clock.run('all'):
        ticks(1.0)
        with clock.run('neck'):
            ticks(2.0)
        with clock.run('head'):
            ticks(4.0)
            with clock.run('neck'):
                ticks(8.0)
        ticks(16.0)
    ticks(32.0)  # outside
    assert clock.seconds == dict(all=17.0, neck=10.0, head=4.0)


def test_a_part_that_fails_ends(ticks):
    clock = PartClock()
    with clock.run('all'):
        with pytest.raises(KeyError), clock.run('neck'):
            ticks(1.0)
            raise KeyError
        ticks(2.0)
    assert clock.seconds == dict(all=2.0, neck=1.0)
