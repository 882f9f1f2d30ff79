"""One run of a battle: an entry on a data set, with a rate and a seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..battle.corruptions import Condition
from ..battle.figures import RESULTS, Figures, read_figures, write_figures
from ..battle.run_folders import run_folder
from .battle_plan import Contest
from .overrides import text_override
from .runs import TEST_STEP, Runs


@dataclass(frozen=True)
class BattleRun:
    """A training and the evaluations of what it has trained.

    Attributes:
        contest: the entry and the data.
        lr: the learning rate.
        seed: the seed.
    """

    contest: Contest
    lr: float
    seed: int

    @property
    def folder(self) -> Path:
        """Name the folder of this run."""
        return run_folder(self.contest.folder, self.lr, self.seed)

    @property
    def title(self) -> str:
        """Name this run in lines of the log."""
        data, entry = self.contest.data.name, self.contest.entry.name
        return f'{data}, {entry}, rate {self.lr:g}, seed {self.seed}'

    def figures(
        self, runs: Runs, role: str | Condition, samples: int
    ) -> Figures:
        """Train and evaluate; what was done before is only read.

        Args:
            runs: runs the commands.
            role: the split to evaluate on, or how the split of the figures
                is corrupted.
            samples: the number of samples of images, for intervals of the
                split of the figures.

        Raises:
            CommandFailed: a command ended with an error.
            RunIsBusy: another process works on this run.
        """
        if isinstance(role, Condition):
            return self._corrupted(runs, role)
        contest = self.contest
        options = [
            f'randomness.seed={self.seed}',
            f'optim_wrapper.optimizer.lr={self.lr}',
        ]
        last = runs.train(
            contest.config,
            self.folder,
            contest.steps,
            options,
            contest.cost.seconds,
        )
        folder = self.folder / role
        if role == 'test':
            return self._evaluate(
                runs, contest.config, last, folder, role, samples=samples
            )
        return self._evaluate(runs, contest.val_config, last, folder, role)

    def _corrupted(self, runs: Runs, condition: Condition) -> Figures:
        """Evaluate on corrupted images what has been trained."""
        folder = self.folder / condition.folder
        found = self._evaluate(
            runs,
            self.contest.corrupted_config,
            runs.last_checkpoint(self.folder),
            folder,
            'test',
            condition.options,
        )
        for file in folder.glob(f'{RESULTS}.*.json'):
            file.unlink()  # large, and there is one for each condition
        return found

    def _evaluate(
        self,
        runs: Runs,
        config: str,
        checkpoint: str,
        folder: Path,
        split: str,
        options: Sequence[str] = (),
        samples: int = 0,
    ) -> Figures:
        """Evaluate on a split, or read what an earlier call has found."""
        data, cost = self.contest.data, self.contest.cost.seconds
        images = data.images(split)
        known = read_figures(folder)
        if known is not None:
            runs.queue.skip(TEST_STEP * cost * images)
            return known
        prefix = text_override(
            'test_evaluator.outfile_prefix', folder / RESULTS
        )
        options = [prefix, *options]
        runs.evaluate(config, checkpoint, folder, images, options, cost)
        return write_figures(folder, data.splits[split].annotations, samples)
