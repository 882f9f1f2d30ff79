"""Training runs and evaluations that are done once and then found again."""

import copy
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmengine.runner import find_latest_checkpoint

from ..atomic_files import write_whole
from ..studies.report import RESULT, read_result
from .command_queue import CommandQueue, print_line
from .run_lock import locked

# Evaluation is a step of its own, so that it can be repeated.
NO_VALIDATION = [
    f'val_{part}=None' for part in ('cfg', 'dataloader', 'evaluator')
]
# The cost of evaluating a batch, in steps of a training, for the time left.
TEST_STEP = 0.4


class Runs:
    """Trains and evaluates in folders, each of which belongs to one run.

    Both go through the commands of the package, each in a process of its
    own. What an earlier call has done is not done again; an interrupted
    training goes on from its newest checkpoint.

    Args:
        queue: runs the commands, and shows the time left for all of them.
        environment: what to add to the environment of the commands.
    """

    def __init__(
        self,
        queue: CommandQueue,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.queue, self.environment = queue, environment
        self._trained: set[Path] = set()

    def within(self, environment: Mapping[str, str]) -> 'Runs':
        """Give the same runs, whose commands get another environment."""
        runs = copy.copy(self)
        runs.environment = environment
        return runs

    def train(
        self,
        config: str,
        folder: Path,
        steps: int,
        options: Sequence[str] = (),
        cost: float = 1.0,
    ) -> str:
        """Train, or continue an earlier run; give the last checkpoint.

        Args:
            config: the config, which counts in steps.
            folder: the work dir of the run.
            steps: the number of steps that the config trains for.
            options: overrides of the config, as ``KEY=VALUE``.
            cost: the length of a step in the units of the queue.

        Raises:
            CommandFailed: the training ended with an error.
            RunIsBusy: another process works in the folder.
        """
        if folder in self._trained:  # its steps have been counted
            return self.last_checkpoint(folder)
        with locked(folder) as lock:
            done = _steps_done(folder)
            if done:
                self.queue.skip(done * cost)
                print_line(f'  {done} of {steps} steps were done before')
            if done < steps:
                command = ['train', config, '--work-dir', str(folder)]
                command += ['--resume', '--cfg-options', *NO_VALIDATION]
                command += options
                log = folder / 'train.log'
                self.queue.run(
                    command, log, cost, done, self.environment, lock
                )
        self._trained.add(folder)
        return self.last_checkpoint(folder)

    @staticmethod
    def last_checkpoint(folder: Path) -> str:
        """Give the last checkpoint of a training."""
        # The name is absolute; the folder may have moved since.
        return str(folder / Path(find_latest_checkpoint(folder)).name)

    def evaluate(
        self,
        config: str,
        checkpoint: str,
        folder: Path,
        batches: int,
        options: Sequence[str] = (),
        cost: float = 1.0,
    ) -> dict[str, float]:
        """Evaluate a checkpoint, or read the metrics from an earlier call.

        Args:
            config: the config.
            checkpoint: the checkpoint.
            folder: the folder for the log and the result.
            batches: the number of batches to evaluate.
            options: overrides of the config, as ``KEY=VALUE``.
            cost: the length of a training step in the units of the queue.

        Raises:
            CommandFailed: the evaluation ended with an error.
            RunIsBusy: another process works in the folder.
        """
        report, units = folder / RESULT, batches * TEST_STEP * cost
        of = dict(checkpoint=Path(checkpoint).name, options=[*options])
        command = ['test', config, checkpoint, '--work-dir', str(folder)]
        if options:
            command += ['--cfg-options', *options]
        with locked(folder) as lock:
            earlier = read_result(folder)
            if earlier.get('of') == of:
                print_line(f'  evaluated before: {report}')
                self.queue.skip(units)
                return earlier['metrics']
            self.queue.run(
                command,
                folder / 'test.log',
                TEST_STEP * cost,
                environment=self.environment,
                lock=lock,
            )
            newest = max(folder.glob('*/*.json'), key=lambda file: file.name)
            metrics = json.loads(newest.read_text())
            content = json.dumps(dict(of=of, metrics=metrics), indent=2)
            write_whole(report, content.encode())
        return metrics


def _steps_done(folder: Path) -> int:
    if not (folder / 'last_checkpoint').exists():
        return 0
    found = find_latest_checkpoint(folder)
    return int(re.search(r'iter_(\d+)\.pth$', found)[1])
