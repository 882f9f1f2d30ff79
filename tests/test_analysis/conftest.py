"""Logs as mmengine writes them."""

import json

import pytest


@pytest.fixture
def write_log(tmp_path):
    """Write the log of one process; return its scalars.json.

    ``resumed`` is the iteration of the checkpoint in mmengine's text log,
    None if the process started from the beginning, and False if there is no
    text log.
    """

    def write(run, time, lines, resumed=None, end='\n'):
        folder = tmp_path / run / time
        (folder / 'vis_data').mkdir(parents=True)
        if resumed is not False:
            text = '11/21 - mmengine - INFO - Set random seed\n'
            if resumed is not None:
                text += f'11/21 - INFO - resumed epoch: 3, iter: {resumed}\n'
            (folder / f'{time}.log').write_text(text)
        scalars = folder / 'vis_data' / 'scalars.json'
        scalars.write_text('\n'.join(map(json.dumps, lines)) + end)
        return scalars

    return write
