"""Read mmengine's logs of training runs, and join resumed runs.

mmengine writes ``WORK_DIR/TIMESTAMP/vis_data/scalars.json`` with one JSON
object per line: one every few training steps (with ``iter``), and one for each
evaluation (without). A run that was killed and resumed leaves a folder for
each process.
"""

import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import UserValueError
from ..messages import brief, listed

_SCALARS = Path('vis_data', 'scalars.json')
_RESUMED = re.compile(r'resumed epoch: \d+, iter: (\d+)')
# These keys tell when a line was written, and are not measurements. The
# seconds of an evaluation would be mixed up with those of training steps.
_PLACES = ('iter', 'step', 'epoch')
_NOT_OF_EVALUATION = (*_PLACES, 'time', 'data_time', 'memory')

Line = tuple[int, dict[str, float]]  # an iteration and its values


@dataclass
class RunLog:
    """The log of one run.

    Attributes:
        path: the path that was asked for.
        train: the iteration and the values of each logged step.
        evaluations: the iteration and the metrics of each evaluation.
        resumed: the iterations at which a later process continued.
    """

    path: Path
    train: list[Line] = field(default_factory=list)
    evaluations: list[Line] = field(default_factory=list)
    resumed: list[int] = field(default_factory=list)

    def keys(self) -> list[str]:
        """List the names of the curves: of training, then of evaluation."""
        lines = [values for _, values in (*self.train, *self.evaluations)]
        return list(dict.fromkeys(key for values in lines for key in values))

    def is_evaluated(self, key: str) -> bool:
        """Tell whether a key is a metric of the evaluations."""
        return any(key in values for _, values in self.evaluations)

    def curve(self, key: str) -> tuple[np.ndarray, np.ndarray]:
        """Return iterations and values, both of shape (N,); N may be 0."""
        lines = self.evaluations if self.is_evaluated(key) else self.train
        points = [(at, line[key]) for at, line in lines if key in line]
        return tuple(np.array(points, float).reshape(-1, 2).T)


def read_run(path: str | os.PathLike) -> RunLog:
    """Read a run's log.

    Args:
        path: the work dir, the folder of one process inside it, or a
            ``scalars.json``. The processes of a work dir are joined: a later
            one replaces everything after the iteration at which it
            continued, and everything if it started from the beginning.

    Raises:
        ValueError: there is no log, it was not written by mmengine, or no
            training step was logged.
    """
    run = RunLog(Path(path))
    files = _find_logs(run.path)
    for file in files:
        train, evaluations = _read_lines(file)
        if not train:  # a test in the same work dir
            continue
        # A later process replaces everything after its start.
        start = _start(file, train)
        run.train = [line for line in run.train if line[0] <= start]
        run.evaluations = [e for e in run.evaluations if e[0] <= start]
        run.resumed = [at for at in run.resumed if at < start]
        if run.train:
            run.resumed.append(start)
        run.train += train
        run.evaluations += evaluations
    if not run.train:
        raise UserValueError(
            f'{listed(files)}: no training step was logged; give a run that '
            'trained for at least default_hooks.logger.interval steps'
        )
    return run


def labels_of(runs: Iterable[RunLog]) -> list[str]:
    """Name runs by the ends of their paths, as short as they can differ."""
    paths = [run.path.resolve() for run in runs]
    parts = [
        path.parts[:-2] if path.match(str(_SCALARS)) else path.parts
        for path in paths
    ]
    for length in range(1, max(map(len, parts)) + 1):
        names = ['/'.join(path[-length:]) for path in parts]
        # A timestamp does not tell which run it was.
        bare = any(re.fullmatch(r'\d{8}_\d{6}', name) for name in names)
        if len(set(names)) == len(names) and not bare:
            return names
    return [f'{name} ({place})' for place, name in enumerate(names, start=1)]


def smoothed(values: np.ndarray, number: int) -> np.ndarray:
    """Average each value with the ``number - 1`` values before it.

    Values that are not finite are left out of the mean, and are kept.
    """
    finite = np.isfinite(values)
    sums, counts = (
        np.convolve(part, np.ones(number))[: len(values)]
        for part in (np.where(finite, values, 0), finite)
    )
    return np.where(finite, sums / np.maximum(counts, 1), values)


def _find_logs(path: Path) -> list[Path]:
    """List the logs of a run, the earliest process first."""
    if path.is_file():
        return [path]
    # The names of the processes are timestamps, which sort by time.
    for place in ('scalars.json', _SCALARS, f'*/{_SCALARS}'):
        if files := sorted(path.glob(str(place))):
            return files
    if not path.is_dir():
        raise UserValueError(f'{path}: no such file or folder')
    below = sorted({file.parents[2] for file in path.glob(f'*/*/{_SCALARS}')})
    hint = f'; there are logs in {listed(below, 8)}' if below else ''
    raise UserValueError(
        f'{path}: no log there; expected <time>/{_SCALARS}, as mmengine '
        f'writes it into a work dir{hint}'
    )


def _read_lines(path: Path) -> tuple[list[Line], list[Line]]:
    """Return the lines of training and those of evaluations."""
    train, evaluations = [], []
    lines = path.read_text(encoding='utf-8', errors='replace').splitlines()
    for number, text in enumerate(lines, start=1):
        try:
            line = json.loads(text)
            step = line['step']
        except (KeyError, TypeError, ValueError):
            # A process that was killed may leave half a line.
            if number == len(lines):
                break
            raise UserValueError(
                f'{path}: line {number} is {brief(text)}, expected a JSON '
                "object with a step, as in mmengine's scalars.json"
            ) from None
        if 'iter' in line:
            train.append((line['iter'], _numbers(line, _PLACES)))
            continue
        # Unless log_metric_by_epoch=False, mmengine counts evaluations in
        # epochs, which stay 0 if training is counted in iterations.
        at = max(step, train[-1][0] if train else 0)
        evaluations.append((at, _numbers(line, _NOT_OF_EVALUATION, -1)))
    return train, evaluations


def _numbers(line: dict, without: tuple, nothing: float | None = None) -> dict:
    """Return the numbers of a line, with NaN for ``nothing``.

    COCO's metrics are -1 if there is nothing to measure.
    """
    values = {}
    for key, value in line.items():
        # log_with_hierarchy=True of mmengine's LogProcessor
        key = key.removeprefix('train/').removeprefix('val/')
        if key not in without and isinstance(value, int | float):
            values[key] = float('nan') if value == nothing else float(value)
    return values


def _start(file: Path, train: list[Line]) -> int:
    """Return the iteration at which a process continued, or 0."""
    folder = file.parents[1]
    text = folder / f'{folder.name}.log'
    if not text.is_file():
        return train[0][0] - 1
    content = text.read_text(encoding='utf-8', errors='replace')
    found = _RESUMED.search(content)
    return int(found[1]) if found else 0
