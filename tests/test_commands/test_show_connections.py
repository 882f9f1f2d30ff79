"""The show-connections command, end to end and its mistakes.

With trained weights it prints the strength of each connection; without, that
the connections add zero; the figure is written where it is asked for.
"""

from pathlib import Path

import pytest
from mmengine.logging import MMLogger
from PIL import Image

from .tiny_weights import save_weights

FOLDER = Path(__file__).parents[2] / 'tools' / 'analysis_tools'


@pytest.fixture
def show(run_command, tiny_config, tiny_coco):
    """Run the tool in this process; give its exit status and output."""
    photo = tiny_coco.root / 'val' / '001.png'

    def run(*arguments, config=tiny_config, image=photo):
        return run_command('show-connections', config, image, *arguments)

    logger = MMLogger.get_current_instance()
    level = logger.level
    yield run
    logger.setLevel(level)


def test_command(tiny_config, tiny_coco, run_tool, tmp_path):
    weights = save_weights(tiny_config, tmp_path / 'tiny.pth')
    ran = run_tool(
        'analysis_tools/show_connections.py', tiny_config,
        tiny_coco.root / 'val' / '001.png', '--checkpoint', weights,
        '--out', 'deep/figure.png',
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout
    assert 'connection 0 -> 1, strength at stage 0: ' in ran.stdout
    assert 'stage 3: 0,' not in ran.stdout
    assert 'written: deep/figure.png' in ran.stdout
    with Image.open(run_tool.folder / 'deep' / 'figure.png') as figure:
        assert figure.size[0] > 1100


def test_untrained(show, tmp_path):
    status, output = show()
    assert status == 0, output
    zero = 'stage 0: 0, stage 1: 0, stage 2: 0, stage 3: 0'
    assert f'connection 0 -> 1, strength at {zero}' in output
    assert 'Initialized by' not in output  # mmengine's line a parameter
    assert (tmp_path / 'connections_001.png').is_file()


def test_mistakes_are_one_line(show, tmp_path, tiny_config):
    def error(*arguments, **files):
        status, output = show(*arguments, **files)
        assert status == 2, output
        line = output[output.index('error: ') :]
        assert line.count('\n') == 1
        return line

    assert 'no file gone.jpg' in error(image='gone.jpg')
    text = tmp_path / 'text.jpg'
    text.write_text('not an image')
    assert f'{text} (12 bytes) is not an image' in error(image=text)
    assert '--checkpoint: no file' in error('--checkpoint', 'gone.pth')
    assert '--out: a.jpg must end in .png' in error('--out', 'a.jpg')
    weights = save_weights(tiny_config, tmp_path / 'tiny.pth')
    style = ('--cfg-options', 'model.backbone.style=slc')
    assert 'does not fit' in error('--checkpoint', weights, *style)
    plain = tmp_path / 'plain.py'
    plain.write_text(
        tiny_config.read_text()
        + "model['type'] = model.pop('base')\n"
        + "model.pop('assistance')\n"
        + "model['backbone'] = dict(model['backbone']['member'])\n"
    )
    assert 'model.backbone is ResNet, not a Comp' in error(config=plain)
