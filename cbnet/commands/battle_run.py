"""One run of a battle: an entry on a data set, with a rate and a seed."""

from dataclasses import dataclass
from pathlib import Path

from ..battle.corruptions import Condition
from ..battle.figures import RESULTS, Figures, read_figures, write_figures
from ..battle.run_folders import run_folder
from .battle_plan import Contest
from .overrides import text_override
from .run_lock import locked
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

    def place(self, role: str | Condition) -> Path:
        """Name the folder of an evaluation of this run.

        Args:
            role: the split to evaluate on, or how the split of the figures
                is corrupted.
        """
        name = role.folder if isinstance(role, Condition) else role
        return self.folder / name

    def train(self, runs: Runs) -> str:
        """Train, or find what was trained before; give the checkpoint.

        Raises:
            CommandFailed: the training ended with an error.
            RunIsBusy: another process works on this run.
        """
        options = [
            f'randomness.seed={self.seed}',
            f'optim_wrapper.optimizer.lr={self.lr}',
        ]
        return runs.train(
            self.contest.config,
            self.folder,
            self.contest.steps,
            options,
            self.contest.cost.seconds,
        )

    def evaluate(
        self, runs: Runs, role: str | Condition, checkpoint: str, samples: int
    ) -> Figures:
        """Evaluate; what was evaluated before is only read.

        Args:
            runs: runs the commands.
            role: see ``place``.
            checkpoint: what has been trained.
            samples: the number of samples of images, for intervals of the
                split of the figures.

        Raises:
            CommandFailed: the evaluation ended with an error.
            RunIsBusy: another process works on this run.
            ValueError: it has left no results.
        """
        contest, folder = self.contest, self.place(role)
        corrupted = isinstance(role, Condition)
        split = 'test' if corrupted else role
        images, cost = contest.data.images(split), contest.cost.seconds
        # Only figures of the split itself are compared over its images.
        drawn = samples if role == 'test' else 0
        figures = read_figures(folder, drawn > 0)
        if figures is not None:
            runs.queue.skip(TEST_STEP * cost * images)
        else:
            config = contest.val_config if role == 'val' else contest.config
            key = 'test_evaluator.outfile_prefix'
            options = [text_override(key, folder / RESULTS)]
            if corrupted:
                config = contest.corrupted_config
                options += role.options
            runs.evaluate(config, checkpoint, folder, images, options, cost)
            annotations = contest.data.splits[split].annotations
            with locked(folder):
                # The evaluation has let the lock go, and another process may
                # have been faster.
                figures = read_figures(folder, drawn > 0)
                if figures is None:
                    figures = write_figures(folder, annotations, drawn)
        if corrupted:
            for file in folder.glob(f'{RESULTS}.*.json'):
                file.unlink()  # large, and there is one for each condition
        return figures
