"""The script for Slurm: the same command, without what is this call's own."""

import sys

import pytest

from cbnet.commands.battle_slurm import slurm_script


@pytest.mark.parametrize('start', [['cbnet', 'battle'], ['battle.py']])
def test_options_of_this_call_alone(tmp_path, monkeypatch, start):
    given = ['--data-root', 'a b', '--devices', '0', '1', '--out', 'out']
    given += ['--slurm', 'jobs.sh', '--jobs=4', '--dry', '--seeds', '1']
    given += ['--entries', '2x a', 'b', '--dev', '2']
    monkeypatch.setattr(sys, 'argv', [*start, *given])
    slurm_script(tmp_path / 'jobs.sh', 3)
    (line,) = (
        line
        for line in (tmp_path / 'jobs.sh').read_text().splitlines()
        if line.startswith('exec')
    )
    assert line == (
        f"exec {sys.executable} -m cbnet battle --data-root 'a b' --out out "
        f'--seeds 1 --entries \'2x a\' b --only "$SLURM_ARRAY_TASK_ID/3"'
    )
