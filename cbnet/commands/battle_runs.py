"""The runs of a battle: each is done once and then found again."""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Lock

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
from .command_queue import CommandFailed, CommandQueue, Interrupted
from .run_lock import RunIsBusy
from .runs import TEST_STEP, Runs


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
    """The runs of a battle, contest by contest.

    Args:
        plan: what is run.
        options: how it is run.
        done: called after each contest, for the report.
    """

    def __init__(
        self, plan: Plan, options: RunOptions, done: Callable[[], None]
    ) -> None:
        self.plan, self.options, self.done = plan, options, done
        self._reporting = Lock()
        self.failed = self.left = 0
        units = sum(self._units(contest) for contest in plan.contests)
        tried = sum(
            contest.cost.seconds * TEST_STEP * contest.data.images('test')
            for contest in plan.contests
        )
        self.queue = CommandQueue(units * plan.runs + tried * plan.tried)
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
        try:
            self._run_all()
        except KeyboardInterrupt:
            raise Interrupted from None

    def _run_all(self) -> None:
        if self.options.jobs == 1:
            for contest in self.plan.contests:
                self._contest(contest)
            return
        with ThreadPoolExecutor(self.options.jobs) as pool:
            try:
                runs = [
                    pool.submit(self._contest, one)
                    for one in self.plan.contests
                ]
                finished, _ = wait(runs, return_when=FIRST_EXCEPTION)
                for one in finished:
                    one.result()
            except BaseException:  # an interruption ends the commands, too
                self.queue.stop()
                pool.shutdown(cancel_futures=True)
                raise

    def _contest(self, contest: Contest) -> None:
        device = self.devices.get()
        try:
            if contest.cost.failed:
                self._refuse(contest)
                return
            beside = min(self.options.jobs, len(self.plan.contests))
            environment = {BESIDE: str(beside)}
            if device:
                environment[VISIBLE] = visible(device)
            runs = Runs(self.queue, environment)
            try:
                lr = self._choose(contest, runs)
            except RunIsBusy as error:
                self._leave(error)
                return
            for seed in self.plan.seeds if lr else ():
                try:
                    run = BattleRun(contest, lr, seed)
                    if self._run(run, runs, 'test'):
                        self._try_corrupted(run, runs)
                except RunIsBusy as error:
                    self._leave(error)
            with self._reporting:  # contests may end at the same time
                self.done()
        finally:
            self.devices.put(device)

    def _leave(self, error: RunIsBusy) -> None:
        """Leave a run to the process that works on it."""
        self.left += 1
        print(f'  {error}', flush=True)

    def _refuse(self, contest: Contest) -> None:
        """Note why an entry is not trained: its measurement has failed."""
        reason = f'in the measurement: {contest.cost.failed}'
        seed = self.plan.seeds[0]
        folder = run_folder(contest.folder, self.plan.lrs[0], seed)
        note_failure(folder, reason)
        self.failed += 1
        print(f'[{contest.data.name}, {contest.entry.name}] {reason}')

    def _choose(self, contest: Contest, runs: Runs) -> float | None:
        """Choose the rate with the best AP on the split for choices."""
        lrs = self.plan.lrs
        if len(lrs) == 1:
            note_choice(contest.folder, lrs[0], {})
            return lrs[0]
        found = {}
        for lr in lrs:
            one = BattleRun(contest, lr, self.plan.seeds[0])
            figures = self._run(one, runs, 'val')
            if figures is not None:
                found[lr] = figures.figures.get('box AP') or 0.0
        best = max(found, key=found.get, default=None)
        note_choice(contest.folder, best, found)
        return best

    def _try_corrupted(self, run: BattleRun, runs: Runs) -> None:
        """Evaluate a trained model on corrupted images.

        What makes one of these fail makes the others fail, too, so that they
        wait for the next call.
        """
        for condition in self.plan.conditions:
            if not self._run(run, runs, condition):
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
            self.failed += 1
            print(f'{title} failed before: {before}')
            return None
        print(title, flush=True)
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
            self.failed += 1
            print(f'{title} failed: {reason}', flush=True)
            return None
        shown = ', '.join(
            f'{name} {figures.figures[name]:.3f}'
            for name in ('box AP', 'mask AP')
            if figures.figures.get(name) is not None
        )
        print(f'{title} {shown}', flush=True)
        return figures
