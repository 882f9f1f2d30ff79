"""The runs of a study of upgrades: each is done once and then found again."""

from argparse import Namespace
from pathlib import Path

from ..errors import UserValueError
from ..messages import listed
from ..studies.report import read_result
from ..studies.results import ALONE, BUDGETS, METRICS
from ..studies.schedule import steps_options
from .command_queue import CommandFailed, CommandQueue
from .overrides import text_override
from .runs import TEST_STEP, Runs
from .study_plan import Plan


class UpgradeStudy:
    """The runs of a study: each is done once and then found again.

    Args:
        args: the arguments of the command.
        plan: what is compared.
    """

    def __init__(self, args: Namespace, plan: Plan) -> None:
        self.args, self.plan, self.folder = args, plan, args.out_dir
        self.failed: list[str] = []
        self.runs = Runs(CommandQueue(self._units()))
        for seed in args.seeds:
            self._claim(seed)

    def _claim(self, seed: int) -> None:
        """Refuse a folder whose runs started from another checkpoint."""
        start = str(self._given(seed) or 'a training')
        note = self.folder / f'seed-{seed}' / 'started_from.txt'
        if note.exists() and note.read_text() != start:
            raise UserValueError(
                f'{note.parent} has runs that started from '
                f'{note.read_text()}, not from {start}; name another '
                f'--out-dir, or repeat the options of the study'
            )
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(start)

    def _given(self, seed: int) -> Path | None:
        """Return the checkpoint that was given for a seed, if any."""
        given = self.args.checkpoints
        return (
            given[self.args.seeds.index(seed) % len(given)] if given else None
        )

    def _units(self) -> float:
        """Count all steps, in those of the detector before the upgrade."""
        args, test = self.args, self.plan.batches * TEST_STEP
        units = test + (0 if args.checkpoints else args.steps)
        for arm, cost in self.plan.costs.items():
            for budget in self.budgets(arm):
                units += cost.ratio * (self.steps(arm, budget) + test)
            if arm in self.plan.upgrades:
                units += cost.ratio * test
        return units * len(args.seeds)

    def budgets(self, arm: str) -> list[str]:
        """Return the budgets for which an arm is trained."""
        return ['steps'] if arm == ALONE else self.args.budgets

    def steps(self, arm: str, budget: str) -> int:
        """Count the steps of one training."""
        steps = self.args.further_steps
        if arm in self.plan.bigger:
            steps += self.args.steps
        if budget == 'time':
            steps = max(round(steps / self.plan.costs[arm].ratio), 2)
        return steps

    def run(self, seed: int) -> None:
        """Go through the runs of one seed; a failed one stops no other."""
        base, folder = self.plan.detector, self.folder / f'seed-{seed}'
        options = [f'randomness.seed={seed}']
        print(f'[seed {seed}] the detector before the upgrade', flush=True)
        trained = str(self._given(seed) or '') or self.runs.train(
            base, folder / 'base', self.args.steps, options
        )
        self.evaluate(base, trained, folder / ALONE / 'start', ALONE)
        for arm in self.plan.costs:
            try:
                self.run_arm(arm, folder / arm, trained, options)
            except CommandFailed as error:
                print(error)
                self.failed.append(f'{arm} of seed {seed}')

    def run_arm(
        self, arm: str, folder: Path, trained: str, options: list[str]
    ) -> None:
        """Go on with one arm, from the trained checkpoint."""
        title, cost = folder.parent.name, self.plan.costs[arm].ratio
        config, start = self.plan.further, trained
        if arm in self.plan.bigger:
            config, start = self.plan.bigger[arm], None
        elif arm in self.plan.upgrades:
            print(f'[{title}] {arm}: the upgrade', flush=True)
            config, start = self.upgrade(arm, folder / 'start', trained)
        for budget in self.budgets(arm):
            steps = self.steps(arm, budget)
            print(f'[{title}] {arm}, {BUDGETS[budget]}: {steps} steps')
            own = [*options, *steps_options(steps)]
            own += [text_override('load_from', start)] if start else []
            last = self.runs.train(config, folder / budget, steps, own, cost)
            self.evaluate(config, last, folder / budget, arm)

    def upgrade(self, arm: str, folder: Path, trained: str) -> tuple[str, str]:
        """Add the assistant, unless an earlier call has proved and tested it.

        Returns:
            The config and the checkpoint of the upgraded detector.
        """
        config = folder / f'upgraded_{Path(self.plan.further).name}'
        start = folder / 'start.pth'
        if not read_result(folder):  # what is there may be unfinished
            config.unlink(missing_ok=True)
            start.unlink(missing_ok=True)
            folder.mkdir(parents=True, exist_ok=True)
            arguments = [self.plan.further, trained, '--steps', '0']
            arguments += ['--out-dir', str(folder), *self.plan.upgrades[arm]]
            log = folder / 'upgrade.log'
            self.runs.queue.run(['upgrade', *arguments], log, cost=0)
        self.evaluate(str(config), str(start), folder, arm)
        return str(config), str(start)

    def evaluate(
        self, config: str, checkpoint: str, folder: Path, arm: str
    ) -> None:
        """Evaluate a checkpoint; say what was found.

        Raises:
            ValueError: the evaluation gives no figure that is compared.
        """
        cost = self.plan.costs[arm].ratio
        metrics = self.runs.evaluate(
            config, checkpoint, folder, self.plan.batches, cost=cost
        )
        if not any(name.endswith(tuple(METRICS)) for name in metrics):
            raise UserValueError(
                f'{config}: its evaluation gives '
                f'{listed(metrics) or "nothing"}, and a study compares '
                f'{" and ".join(METRICS)}; set test_evaluator to a metric '
                f"that gives them, such as 'CocoMetric'"
            )
        shown = (f'{k} {v}' for k, v in metrics.items() if k.endswith('_mAP'))
        print(f'  {", ".join(shown)}', flush=True)
