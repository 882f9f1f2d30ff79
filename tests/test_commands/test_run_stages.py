"""Tasks in stages, several at a time.

1. Every task is done once, each stage waits for the one before it and gets its
   results in order, and there are never more tasks at a time than jobs.
2. With one job, the order is that of the works; with two, none is idle while
   there is work.
3. Whatever raises, in a task or between stages, ends everything.
"""

from threading import Barrier, Event, Lock
from time import sleep

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbnet.commands.run_stages import StageQueue

SIZES = st.lists(st.lists(st.integers(0, 4), max_size=3), max_size=5)


@settings(deadline=None)
@given(works=SIZES, jobs=st.integers(1, 4))
def test_every_task_is_done_once_and_in_its_stage(works, jobs):
    done, lock, running, most = [], Lock(), set(), [0]

    def task(*name):
        def work():
            with lock:
                running.add(name)
                most[0] = max(most[0], len(running))
            sleep(0.001)  # so that too many would meet
            with lock:
                running.remove(name)
                done.append(name)
            return name

        return work

    def stages(number, sizes):
        for stage, size in enumerate(sizes):
            names = [(number, stage, position) for position in range(size)]
            assert (yield [task(*name) for name in names]) == names

    queue = [stages(*one) for one in enumerate(works)]
    StageQueue(queue, jobs, lambda: None).run()
    assert most[0] <= jobs
    assert sorted(done) == [
        (number, stage, position)
        for number, sizes in enumerate(works)
        for stage, size in enumerate(sizes)
        for position in range(size)
    ]
    if jobs == 1:
        assert done == sorted(done)
    for number in range(len(works)):
        stages_done = [name[1] for name in done if name[0] == number]
        assert stages_done == sorted(stages_done)


def test_no_job_is_idle_while_work_waits():
    together = Barrier(2, timeout=60)

    def work():
        for _ in range(3):
            yield [together.wait]

    StageQueue([work(), work()], 2, together.abort).run()


@pytest.mark.parametrize('place', ['task', 'stage'])
def test_what_raises_ends_everything(place):
    stopped = Event()

    def failing():
        if place == 'stage':
            yield [bool]
            raise KeyboardInterrupt
        yield [raising]

    def raising():
        raise KeyboardInterrupt

    def waiting():
        yield [lambda: stopped.wait(60)]
        pytest.fail('the next stage has begun')

    with pytest.raises(KeyboardInterrupt):
        StageQueue([failing(), waiting()], 2, stopped.set).run()
    assert stopped.is_set()
