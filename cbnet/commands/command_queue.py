"""Run commands one after the other; show the time left for all of them."""

import os
import re
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

from rich.progress import BarColumn, Progress, TimeRemainingColumn

from ..messages import one_line

_STEP = re.compile(r'Iter\(\w+\) *\[ *(\d+)/(\d+)\](?:.* loss: ([\d.]+))?')


class CommandFailed(SystemExit):
    """A command failed; the text shows the last of its output.

    Args:
        text: the text.
        reason: why it failed, in one line.
    """

    def __init__(self, text: str, reason: str = '') -> None:
        super().__init__(text)
        self.reason = reason


class Interrupted(SystemExit):
    """The user stopped the commands."""

    def __init__(self) -> None:
        super().__init__('\ninterrupted; the same command continues from here')


class CommandQueue:
    """Commands of known length that run one after the other.

    Within ``with queue``, a bar shows the time left on a terminal, and
    elsewhere a line for each step that a command logs. A SIGTERM to this
    process, or a terminal that is closed, then is what Ctrl-C is: it ends the
    commands, too.

    Args:
        units: the length of all commands, in steps of any fixed kind.

    Attributes:
        patience: the seconds that a command has to end by itself after an
            interruption, which is sent on to it.
    """

    patience = 10.0

    def __init__(self, units: float) -> None:
        self._left = TimeRemainingColumn()
        self._stopped = Event()
        self._running: set[subprocess.Popen] = set()
        self._handlers: dict[int, Any] = {}
        self.bar = Progress(
            '  {task.description}',
            BarColumn(),
            'time left in all',
            self._left,
            transient=True,
            speed_estimate_period=300,
        )
        self.bar.add_task('', total=units)

    def __enter__(self) -> 'CommandQueue':
        # The commands have sessions of their own, which a terminal that is
        # closed does not reach.
        for name in ('SIGTERM', 'SIGHUP'):
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            before = number and signal.getsignal(number)
            if before == signal.SIG_DFL:  # nohup ignores it, and so do we
                self._handlers[number] = before
                signal.signal(number, signal.default_int_handler)
        self.bar.start()
        return self

    def __exit__(self, *exception: Any) -> None:
        self.bar.stop()
        for number, before in self._handlers.items():
            signal.signal(number, before)

    def skip(self, units: float) -> None:
        """Take off what an earlier run has done."""
        (task,) = self.bar.tasks
        self.bar.update(task.id, total=task.total - units)

    def stop(self) -> None:
        """Start no further command, in any thread; end those that run."""
        self._stopped.set()
        end = time.monotonic() + self.patience
        running = tuple(self._running)
        for process in running:
            _signal_all(process, signal.SIGINT)
        for process in running:
            try:
                process.wait(max(end - time.monotonic(), 0))
            except subprocess.TimeoutExpired:
                process.terminate()
                process.wait()

    def run(
        self,
        arguments: list[str],
        log: Path,
        cost: float,
        done: int = 0,
        environment: Mapping[str, str] | None = None,
        lock: tuple[int, ...] = (),
    ) -> None:
        """Run a command; append its output to a log file.

        Several threads may do so at a time.

        Args:
            arguments: the name of the command, and its arguments.
            log: the log file.
            cost: the length of one of its steps, in units.
            done: the number of its steps that an earlier run has done.
            environment: what to add to the environment.
            lock: what keeps others out of its folder, see ``locked``.

        Raises:
            CommandFailed: the command ended with an error.
            Interrupted: the user stopped it, or all commands.
        """
        if self._stopped.is_set():
            raise Interrupted
        log.parent.mkdir(parents=True, exist_ok=True)
        tail = deque(maxlen=15)
        process = None
        try:
            process = subprocess.Popen(
                [sys.executable, '-u', '-m', 'cbnet', *arguments],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors='replace',  # libraries print names of any encoding
                env={**os.environ, **(environment or {})},
                pass_fds=lock,
                start_new_session=True,
            )
            self._running.add(process)
            Thread(target=_end_with, args=(process,), daemon=True).start()
            with log.open('a', buffering=1, errors='replace') as file:
                for line in process.stdout:
                    file.write(line)
                    tail.append(line)
                    if found := _STEP.search(line):
                        step, last, loss = found.groups()
                        loss = f'  loss {float(loss):.3f}' if loss else ''
                        text = f'step {step:>3} of {last}{loss}'
                        self._advance(cost * (int(step) - done), text)
                        done = int(step)
            status = process.wait()
        except KeyboardInterrupt:
            self.stop()
            raise Interrupted from None
        except BaseException:  # such as a full disk: nobody reads its output
            if process is not None:
                process.stdout.close()
                _signal_all(process, signal.SIGTERM)
                process.wait()
            raise
        finally:
            self._running.discard(process)
        ended = status in (-signal.SIGINT, -signal.SIGTERM)
        if ended or (status and self._stopped.is_set()):
            raise Interrupted
        if status != 0:
            raise CommandFailed(
                f'{"".join(tail)}\n{arguments[0]} failed, see {log}',
                _reason(status, tail),
            )

    def _advance(self, units: float, text: str) -> None:
        (task,) = self.bar.tasks
        self.bar.update(task.id, advance=units, description=text)
        if not self.bar.console.is_terminal:
            left = self._left.render(task)
            print_line(f'  {text}  time left in all {left}')


def print_line(text: str) -> None:
    """Print a line in one piece, because several threads print."""
    print(f'{text}\n', end='', flush=True)


def _end_with(process: subprocess.Popen) -> None:
    """End what a command leaves behind when it has ended.

    Processes that load images survive a training that is killed: they wait
    for a reader of their queue, and hold its output and its lock.
    """
    process.wait()
    _signal_all(process, signal.SIGKILL)


def _signal_all(process: subprocess.Popen, number: int) -> None:
    """Send a signal to a command and to all that it has started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _reason(status: int, tail: Iterable[str]) -> str:
    """Say in one line why a command failed."""
    lines = [line.strip() for line in tail if line.strip()]
    memory = [line for line in lines if 'out of memory' in line.lower()]
    if memory:
        return one_line(memory[-1], 300)
    if status < 0:
        name = signal.Signals(-status).name
        about = ', usually for lack of memory' * (status == -signal.SIGKILL)
        return f'the system ended it with {name}{about}'
    return one_line(lines[-1], 300) if lines else f'exit status {status}'
