"""The runs of a battle: each is done once and then found again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Lock
from typing import Any

from ..battle.corruptions import Condition
from ..battle.figures import Figures
from ..battle.run_folders import (
    note_choice,
    note_failure,
    read_failure,
    run_folder,
)
from ..errors import UserError
from ..messages import one_line
from ..threads import BESIDE
from .battle_checks import VISIBLE, visible
from .battle_plan import Contest, Plan
from .battle_run import BattleRun
from .command_queue import (
    CommandFailed,
    CommandQueue,
    Interrupted,
    print_line,
)
from .run_lock import RunIsBusy
from .run_stages import StageQueue, Stages, Task
from .runs import TEST_STEP, Runs

# What a task gives whose run another process works on.
_LEFT = object()


@dataclass(frozen=True)
class RunOptions:
    """How runs are run.

    Attributes:
        devices: the GPUs, one for each run at a time; empty: whatever torch
            finds.
        jobs: the number of runs at a time.
        samples: the number of samples of images, for intervals.
        retry: whether runs that failed are tried again.
    """

    devices: Sequence[str] = ()
    jobs: int = 1
    samples: int = 500
    retry: bool = False


class Battle:
    """The runs of a battle, as many at a time as there are jobs.

    Args:
        plan: what is run.
        options: how it is run.
        done: called after each contest, for the report.
    """

    def __init__(
        self, plan: Plan, options: RunOptions, done: Callable[[], None]
    ) -> None:
        self.plan, self.options, self.done = plan, options, done
        self.failed = self.left = 0
        self._counting = Lock()
        units = sum(self._units(contest) for contest in plan.contests)
        tried = sum(
            contest.cost.seconds * TEST_STEP * contest.data.images('test')
            for contest in plan.contests
        )
        self.queue = CommandQueue(units * plan.runs + tried * plan.tried)
        self.runs = Runs(self.queue)
        self.devices: SimpleQueue = SimpleQueue()
        for number in range(options.jobs):
            known = options.devices
            self.devices.put(known[number % len(known)] if known else None)

    def _units(self, contest: Contest) -> float:
        """Count the units of a run: seconds, as far as they are known."""
        images = contest.data.images('test')
        return contest.cost.seconds * (contest.steps + TEST_STEP * images)

    def run(self) -> None:
        """Go through all contests; a run that fails stops no other.

        Raises:
            Interrupted: the user stopped it.
        """
        works = map(self._contest, self.plan.contests)
        try:
            StageQueue(works, self.options.jobs, self.queue.stop).run()
        except KeyboardInterrupt:
            raise Interrupted from None

    def _contest(self, contest: Contest) -> Stages:
        """Yield the runs that choose the rate, then those with this rate."""
        if contest.cost.failed:
            self._refuse(contest)
            return
        lrs, seeds = self.plan.lrs, self.plan.seeds
        lr, found = lrs[0], {}
        if len(lrs) > 1:
            tried = [BattleRun(contest, one, seeds[0]) for one in lrs]
            outcomes = yield [self._task(self._try, run) for run in tried]
            if _LEFT in outcomes:
                return  # another process chooses
            found = {
                one: outcome
                for one, outcome in zip(lrs, outcomes, strict=True)
                if outcome is not None
            }
            lr = max(found, key=found.get, default=None)
        note_choice(contest.folder, lr, found)
        if lr is not None:
            runs = [BattleRun(contest, lr, seed) for seed in seeds]
            yield [self._task(self._measure, run) for run in runs]
        self.done()

    def _task(
        self, work: Callable[[BattleRun, Runs], Any], run: BattleRun
    ) -> Task:
        """Do work on a device that no other run has at this time."""
        beside = min(self.options.jobs, self.plan.at_once)

        def task() -> Any:
            device = self.devices.get()
            try:
                environment = {BESIDE: str(beside)}
                if device:
                    environment[VISIBLE] = visible(device)
                return work(run, self.runs.within(environment))
            except RunIsBusy as error:
                print_line(f'  {error}')
                with self._counting:
                    self.left += 1
                return _LEFT
            finally:
                self.devices.put(device)

        return task

    def _fail(self, text: str) -> None:
        with self._counting:
            self.failed += 1
        print_line(text)

    def _refuse(self, contest: Contest) -> None:
        """Note why an entry is not trained: its measurement has failed."""
        reason = f'in the measurement: {contest.cost.failed}'
        seed = self.plan.seeds[0]
        folder = run_folder(contest.folder, self.plan.lrs[0], seed)
        note_failure(folder, reason)
        self._fail(f'[{contest.data.name}, {contest.entry.name}] {reason}')

    def _try(self, run: BattleRun, runs: Runs) -> float | None:
        """Find the AP of a rate on the split for choices; None: it fails."""
        figures = self._run(run, runs, 'val')
        return (
            None if figures is None else figures.figures.get('box AP') or 0.0
        )

    def _measure(self, run: BattleRun, runs: Runs) -> None:
        """Find the figures of a run, also on corrupted images.

        What makes one of the corruptions fail makes the others fail, too, so
        that they wait for the next call.
        """
        for role in ('test', *self.plan.conditions):
            if not self._run(run, runs, role):
                break

    def _run(
        self, run: BattleRun, runs: Runs, role: str | Condition
    ) -> Figures | None:
        """Train and evaluate; None if it fails.

        Raises:
            RunIsBusy: another process works on this run.
        """
        title, place = f'[{run.title}, {role}]', run.place(role)
        reasons = map(read_failure, (run.folder, place))
        before = next(filter(None, reasons), None)
        if before and not self.options.retry:
            self._fail(f'{title} failed before: {before}')
            return None
        print_line(title)
        working_in = run.folder
        try:
            checkpoint = run.train(runs)
            note_failure(run.folder, None)
            working_in = place
            figures = run.evaluate(
                runs, role, checkpoint, self.options.samples
            )
            note_failure(place, None)
        except RunIsBusy:
            raise
        except (CommandFailed, UserError) as error:
            reason = getattr(error, 'reason', '') or one_line(error, 300)
            note_failure(working_in, reason)
            self._fail(f'{title} failed: {reason}')
            return None
        shown = ', '.join(
            f'{name} {figures.figures[name]:.3f}'
            for name in ('box AP', 'mask AP')
            if figures.figures.get(name) is not None
        )
        print_line(f'{title} {shown}')
        return figures
