"""Do several tasks at a time, in stages that wait for each other."""

import heapq
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    Future,
    ThreadPoolExecutor,
    wait,
)
from typing import Any

Task = Callable[[], Any]
#: Yields the tasks of each stage, and takes their results, in this order.
Stages = Generator[Sequence[Task], list[Any], None]


class StageQueue:
    """The tasks of several pieces of work, a task for each job at a time.

    The tasks of a stage may be done together; those of the next stage, which
    the generator chooses by their results, wait for all of them. A piece of
    work is begun when the tasks of the earlier ones leave a job idle, and the
    earlier ones always go first. The generators run in the calling thread,
    one at a time.

    Args:
        works: the pieces of work.
        jobs: the number of tasks at a time.
        stop: called if anything raises; it must end the tasks that run.
    """

    def __init__(
        self, works: Iterable[Stages], jobs: int, stop: Callable[[], None]
    ) -> None:
        self._upcoming = enumerate(works)
        self._jobs, self._stop = jobs, stop
        self._begun: dict[int, Stages] = {}
        self._found: dict[int, dict[int, Any]] = {}
        self._sizes: dict[int, int] = {}
        self._waiting: list[tuple[int, int, Task]] = []

    def run(self) -> None:
        """Do everything.

        Raises:
            BaseException: what a task, a generator or an interruption raises.
        """
        running: dict[Future, tuple[int, int]] = {}
        with ThreadPoolExecutor(self._jobs) as pool:
            try:
                while True:
                    while len(running) < self._jobs and self._some_wait():
                        number, position, task = heapq.heappop(self._waiting)
                        running[pool.submit(task)] = number, position
                    if not running:
                        return
                    for ended in wait(running, None, FIRST_COMPLETED).done:
                        self._note(*running.pop(ended), ended.result())
            except BaseException:
                self._stop()
                pool.shutdown(cancel_futures=True)
                raise

    def _some_wait(self) -> bool:
        """Tell whether a task waits; if none does, begin further work."""
        while not self._waiting:
            number, work = next(self._upcoming, (0, None))
            if work is None:
                return False
            self._begun[number] = work
            self._go_on(number, None)
        return True

    def _note(self, number: int, position: int, result: Any) -> None:
        found = self._found[number]
        found[position] = result
        if len(found) == self._sizes[number]:
            self._go_on(number, [found[i] for i in range(len(found))])

    def _go_on(self, number: int, results: list[Any] | None) -> None:
        """Begin the next stage that has tasks, if there is one."""
        tasks: Sequence[Task] = ()
        while not tasks:
            try:
                tasks = self._begun[number].send(results)
            except StopIteration:
                return
            results = []
        self._found[number], self._sizes[number] = {}, len(tasks)
        for position, task in enumerate(tasks):
            heapq.heappush(self._waiting, (number, position, task))
