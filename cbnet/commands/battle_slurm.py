"""A battle as an array of jobs of Slurm."""

import shlex
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..atomic_files import write_whole

# A job has other GPUs than this machine, and runs one entry.
_OWN = '--slurm', '--dry-run', '--devices', '--jobs'
_SCRIPT = """\
#!/bin/bash
# Written by `cbnet battle --slurm`. Each job runs one entry on one data set;
# a job that is sent again goes on where it stopped. Options of sbatch replace
# these, such as on a cluster without GPUs: sbatch --gres=none FILE
#SBATCH --job-name=battle
#SBATCH --array=1-{number}
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=4
#SBATCH --requeue
cd {folder}
# Not through srun, which since Slurm 22.05 gives it one CPU of the job's.
exec {command} --only "$SLURM_ARRAY_TASK_ID/{number}"
"""


def slurm_script(file: Path, number: int) -> None:
    """Write a script that runs this command in shares.

    Args:
        file: the script.
        number: the number of shares.
    """
    given = sys.argv[1:]
    words = _of_jobs(given[1:] if given[:1] == ['battle'] else given)
    text = _SCRIPT.format(
        number=number,
        folder=shlex.quote(str(Path.cwd())),
        command=shlex.join([sys.executable, '-m', 'cbnet', 'battle', *words]),
    )
    write_whole(file, text.encode())


def _of_jobs(words: Iterable[str]) -> Iterator[str]:
    """Leave out the options of this call alone, with their values."""
    own = False
    for word in words:
        if word.startswith('-'):  # no value begins so
            own = any(_is(word, option) for option in _OWN)
        if not own:
            yield word


def _is(word: str, option: str) -> bool:
    """Tell whether a word is an option, perhaps shortened, as in ``--slu``.

    A beginning that several options share never comes here, because the
    parser refuses it.
    """
    name = word.partition('=')[0]
    return len(name) > 2 and option.startswith(name)
