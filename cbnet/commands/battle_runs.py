"""The runs of a battle: each is done once and then found again."""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from ..battle.corruptions import Condition
from ..battle.figures import RESULTS, Figures, read_figures, write_figures
from ..battle.run_folders import (
    note_choice,
    note_failure,
    read_failure,
    run_folder,
)
from ..errors import UserError
from ..messages import one_line
from ..threads import BESIDE
from .battle_plan import Contest, Plan
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
        self.failed = self.left = 0
        units = sum(self._units(contest) for contest in plan.contests)
        tried = sum(
            self._step(contest) * TEST_STEP * contest.data.images('test')
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
        return self._step(contest) * (contest.steps + TEST_STEP * images)

    @staticmethod
    def _step(contest: Contest) -> float:
        return contest.cost.step or 1.0

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
            runs = [
                pool.submit(self._contest, one) for one in self.plan.contests
            ]
            try:
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
            environment = {BESIDE: str(self.options.jobs)}
            if device:
                environment['CUDA_VISIBLE_DEVICES'] = device
            runs = Runs(self.queue, environment)
            try:
                lr = self._choose(contest, runs)
            except RunIsBusy as error:
                self._leave(error)
                return
            for seed in self.plan.seeds if lr else ():
                try:
                    if self._run(contest, runs, lr, seed, 'test'):
                        self._try_corrupted(contest, runs, lr, seed)
                except RunIsBusy as error:
                    self._leave(error)
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
            figures = self._run(contest, runs, lr, self.plan.seeds[0], 'val')
            if figures is not None:
                found[lr] = figures.figures.get('box AP') or 0.0
        best = max(found, key=found.get, default=None)
        note_choice(contest.folder, best, found)
        return best

    def _try_corrupted(
        self, contest: Contest, runs: Runs, lr: float, seed: int
    ) -> None:
        """Evaluate a trained model on corrupted images.

        What makes one of these fail makes the others fail, too, so that they
        wait for the next call.
        """
        for condition in self.plan.conditions:
            if not self._run(contest, runs, lr, seed, condition):
                break

    def _run(
        self,
        contest: Contest,
        runs: Runs,
        lr: float,
        seed: int,
        role: str | Condition,
    ) -> Figures | None:
        """Train and evaluate; None if it fails.

        Args:
            contest: the entry and the data.
            runs: runs the commands.
            lr: the learning rate.
            seed: the seed.
            role: the split to evaluate on, or how the split of the figures
                is corrupted.

        Raises:
            RunIsBusy: another process works on this run.
        """
        folder = run_folder(contest.folder, lr, seed)
        title = (
            f'{contest.data.name}, {contest.entry.name}, rate {lr:g}, seed '
            f'{seed}, {role}'
        )
        before = read_failure(folder)
        if before and not self.options.retry:
            self.failed += 1
            print(f'[{title}] failed before: {before}')
            return None
        print(f'[{title}]', flush=True)
        try:
            figures = self._figures(contest, runs, folder, lr, seed, role)
        except RunIsBusy:
            raise
        except (CommandFailed, UserError) as error:
            reason = getattr(error, 'reason', '') or one_line(error, 300)
            note_failure(folder, reason)
            self.failed += 1
            print(f'[{title}] failed: {reason}', flush=True)
            return None
        note_failure(folder, None)
        shown = ', '.join(
            f'{name} {figures.figures[name]:.3f}'
            for name in ('box AP', 'mask AP')
            if figures.figures.get(name) is not None
        )
        print(f'[{title}] {shown}', flush=True)
        return figures

    def _figures(
        self,
        contest: Contest,
        runs: Runs,
        folder: Path,
        lr: float,
        seed: int,
        role: str | Condition,
    ) -> Figures:
        if isinstance(role, Condition):  # of a training that has ended
            last = runs.last_checkpoint(folder)
            folder, config = folder / role.folder, contest.corrupted_config
            found = self._evaluate(
                contest, runs, config, last, folder, 'test', role.options
            )
            for file in folder.glob(f'{RESULTS}.*.json'):
                file.unlink()  # large, and there is one for each condition
            return found
        options = [
            f'randomness.seed={seed}',
            f'optim_wrapper.optimizer.lr={lr}',
        ]
        cost = self._step(contest)
        last = runs.train(contest.config, folder, contest.steps, options, cost)
        config = contest.config if role == 'test' else contest.val_config
        samples = self.options.samples if role == 'test' else 0
        folder = folder / role
        return self._evaluate(
            contest, runs, config, last, folder, role, samples=samples
        )

    def _evaluate(
        self,
        contest: Contest,
        runs: Runs,
        config: str,
        checkpoint: str,
        folder: Path,
        role: str,
        options: Sequence[str] = (),
        samples: int = 0,
    ) -> Figures:
        """Evaluate on a split, or read what an earlier call has found."""
        cost, images = self._step(contest), contest.data.images(role)
        known = read_figures(folder)
        if known is not None:
            self.queue.skip(TEST_STEP * cost * images)
            return known
        prefix = f'test_evaluator.outfile_prefix={folder / RESULTS}'
        options = [prefix, *options]
        runs.evaluate(config, checkpoint, folder, images, options, cost)
        annotations = contest.data.splits[role].annotations
        return write_figures(folder, annotations, samples)
