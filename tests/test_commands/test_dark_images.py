"""Every command that loads images says of some that they are almost black.

Images of 16 bits with the 12 bits of a camera: ``cbnet train``, ``test``,
``infer`` and ``check-data`` print one line with the file and its values.
"""

import shutil

import mmcv
import numpy as np
import pytest


class Built(Exception):
    """A command would begin to train or to evaluate."""


@pytest.fixture
def dark(tiny_coco, tiny_config, tmp_path):
    """A copy of the data, with a dark image in both splits."""
    root = tmp_path / 'dark'
    shutil.copytree(tiny_coco.root, root)
    pixels = np.arange(64 * 96, dtype=np.uint16).reshape(64, 96) % 4096
    for split in ('train', 'val'):
        mmcv.imwrite(pixels, str(root / split / '001.png'))
    text = tiny_config.read_text().replace(str(tiny_coco.root), str(root))
    tiny_config.write_text(text)
    return root


@pytest.mark.parametrize('command', ['train', 'test', 'check-data', 'infer'])
def test_a_line_about_12_bits(
    command, dark, tiny_config, run_command, request, monkeypatch, capsys
):
    arguments = [tiny_config]
    if command == 'check-data':
        arguments = ['--config', tiny_config]
    elif command == 'infer':
        weights = request.getfixturevalue('weights')
        arguments += [weights, dark / 'val', '--no-images']
    elif command == 'test':
        (dark / 'any.pth').touch()
        arguments.append(dark / 'any.pth')
    if command in ('train', 'test'):
        _stop_before_building(monkeypatch, command)
        with pytest.raises(Built):
            run_command(command, *arguments)
        said = capsys.readouterr().out
    else:
        status, said = run_command(command, *arguments)
        assert status == 0, said
    number = dict(train=4).get(command, 2)
    split = 'train' if command == 'train' else 'val'
    line = (
        f'{dark / split / "001.png"} has 16 bits, and values up to 4095, '
        f'which are loaded as 0 to 15 of 255 (1 of {number} images that were'
    )
    assert said.count(line) == 1


def _stop_before_building(monkeypatch, command):
    def build(cfg):
        raise Built

    monkeypatch.setattr(f'cbnet.commands.{command}.build_runner', build)
