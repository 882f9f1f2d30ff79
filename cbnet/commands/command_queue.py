"""Run commands one after the other; show the time left for all of them."""

import re
import subprocess
import sys
from collections import deque
from pathlib import Path

from rich.progress import BarColumn, Progress, TimeRemainingColumn

_STEP = re.compile(r'Iter\(\w+\) *\[ *(\d+)/(\d+)\](?:.* loss: ([\d.]+))?')


class CommandFailed(SystemExit):
    """A command failed; the text shows the last of its output."""


class CommandQueue:
    """Commands of known length that run one after the other.

    On a terminal, within ``with queue.bar``, a bar shows the time left;
    elsewhere a line for each step that a command logs.

    Args:
        units: the length of all commands, in steps of any fixed kind.
    """

    def __init__(self, units: float) -> None:
        self._left = TimeRemainingColumn()
        self.bar = Progress(
            '  {task.description}',
            BarColumn(),
            'time left in all',
            self._left,
            transient=True,
            speed_estimate_period=300,
        )
        self.bar.add_task('', total=units)

    def skip(self, units: float) -> None:
        """Take off what an earlier run has done."""
        (task,) = self.bar.tasks
        self.bar.update(task.id, total=task.total - units)

    def run(
        self, arguments: list[str], log: Path, cost: float, done: int = 0
    ) -> None:
        """Run a command; append its output to a log file.

        Args:
            arguments: the name of the command, and its arguments.
            log: the log file.
            cost: the length of one of its steps, in units.
            done: the number of its steps that an earlier run has done.

        Raises:
            CommandFailed: the command ended with an error.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        process = subprocess.Popen(
            [sys.executable, '-u', '-m', 'cbnet', *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        tail = deque(maxlen=15)
        try:
            with log.open('a', buffering=1) as file:
                for line in process.stdout:
                    file.write(line)
                    tail.append(line)
                    if found := _STEP.search(line):
                        step, last, loss = found.groups()
                        loss = f'  loss {float(loss):.3f}' if loss else ''
                        text = f'step {step:>3} of {last}{loss}'
                        self._advance(cost * (int(step) - done), text)
                        done = int(step)
        except KeyboardInterrupt:
            process.wait()
            sys.exit('\ninterrupted; the same command continues from here')
        if process.wait() != 0:
            raise CommandFailed(
                f'{"".join(tail)}\n{arguments[0]} failed, see {log}'
            )

    def _advance(self, units: float, text: str) -> None:
        (task,) = self.bar.tasks
        self.bar.update(task.id, advance=units, description=text)
        if not self.bar.console.is_terminal:
            left = self._left.render(task)
            print(f'  {text}  time left in all {left}', flush=True)
