"""tools/analysis_tools/get_flops.py, end to end and its mistakes.

One config is shown by parts, several side by side; one number is a square;
the file holds the exact numbers under sorted keys; a part that needs data is
named after the rest was counted. Assistants are counted as an upgrade adds
them, without their weights.
"""

import json
from functools import partial
from pathlib import Path

import pytest
from mmengine.config import Config

from cbnet.testing import tiny_detector

ROOT = Path(__file__).parents[2]
DUAL = str(ROOT / 'configs' / 'cbnet' / 'dual_r50.py')
SINGLE = str(ROOT / 'configs' / 'cbnet' / 'single_r50.py')


@pytest.fixture
def get_flops(run_command):
    """Run the tool in this process; give its exit status and output."""
    return partial(run_command, 'get-flops')


def test_command(run_tool):
    """Of a published model, without data and weights, in any folder."""
    ran = run_tool('analysis_tools/get_flops.py', DUAL, '--out', 'a/cost.json')
    assert ran.returncode == 0, ran.stdout
    assert '800 x 1280 (height x width), one image' in ran.stdout
    rows = {
        cells[1].strip(): [float(cell) for cell in cells[2:-1]]
        for cells in (line.split('|') for line in ran.stdout.splitlines())
        if len(cells) == 9 and cells[1].startswith((' neck', ' total'))
    }
    assert rows['neck'] == [3.34, 3.34, 58.00, 58.04, 116.00, 58.00]
    assert rows['total'] == [69.63, 69.40, 282.61, 283.71, 391.57, 115.94]
    assert 'inference: 1000 boxes\n' in ran.stdout
    assert 'training adds no parameters; assistance' in ran.stdout
    assert ran.stdout.endswith('figures: a/cost.json\n')

    text = (run_tool.folder / 'a' / 'cost.json').read_text()
    data = json.loads(text)
    assert text == json.dumps(data, indent=1, sort_keys=True) + '\n'
    assert data[DUAL]['shape'] == [800, 1280]
    assert data[DUAL]['total']['macs'] == 282614256640
    assert data[DUAL]['parts'][0]['name'] == 'stem'


def test_side_by_side(get_flops):
    status, output = get_flops(
        DUAL, SINGLE, '--shape', 64, '--out', 'cost.json'
    )
    assert status == 0, output
    assert '64 x 64 (height x width)' in output
    assert output.count('_r50.py') == 2
    assert 'member' not in output
    data = json.loads(Path('cost.json').read_text())
    assert list(data) == [DUAL, SINGLE]
    dual, single = (one['total'] for one in data.values())
    assert dual['macs'] > single['macs'] > 0
    assert single['assistance'] == 0


def test_options_of_the_config(get_flops):
    status, output = get_flops(
        DUAL, '--shape', 64, 96,
        '--cfg-options', 'model.backbone.num_members=3',
        'model.assistance.weights="[0.5,0]"',
    )  # fmt: skip
    assert status == 0, output
    assert '64 x 96' in output
    assert 'connection 1 -> 2' in output
    assert 'assistants with losses: 1' in output


def test_assistants(get_flops, tmp_path):
    plain = tmp_path / 'plain.py'
    model = tiny_detector('RetinaNet')
    Config(dict(model=model)).dump(str(plain))
    macs = []
    for scale in ((), ('--scale', 0.5)):
        status, output = get_flops(
            plain, '--shape', 96, 128, '--assistant', 'test_vit',
            'test_resnet', '--out', 'cost.json', *scale,
        )  # fmt: skip
        assert status == 0, output
        data = json.loads(Path('cost.json').read_text())
        names = [str(plain), f'{plain} + test_vit', f'{plain} + test_resnet']
        assert sorted(data) == sorted(names)
        totals = [data[name]['total'] for name in names]
        rises = [one['macs'] - totals[0]['macs'] for one in totals]
        macs.append(rises)
        for one in totals[1:]:
            assert one['parameters'] > one['trainable']
    assert list(tmp_path.glob('upgraded*')) == []
    assert 0 < macs[1][2] < 0.5 * macs[0][2]
    for arguments, text in (
        (['--scale', 0.5], '--scale is for the images of an --assistant'),
        (
            ['--assistant', 'test_vit', '--cfg-options', 'a=1'],
            '--assistant is added to a config as it is',
        ),
        (['--assistant', 'test_vitt'], "did you mean 'test_vit"),
    ):
        status, output = get_flops(plain, *arguments)
        assert status == 2 and text in output


def test_part_that_needs_data(get_flops):
    name = 'mmdet::mask2former/mask2former_r50_8xb2-lsj-50e_coco.py'
    status, output = get_flops(name, '--shape', 64, '--out', 'cost.json')
    assert status == 2
    assert 'backbone' in output
    last = output.splitlines()[-1]
    assert f'error: {name}: panoptic_head does not run without data' in last
    data = json.loads(Path('cost.json').read_text())
    assert data[name]['total']['macs'] is None
    assert list(data[name]['uncounted']) == ['panoptic_head']


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['nowhere.py'], 'no config file nowhere.py'),
        ([DUAL, 'nowhere.py'], 'no config file nowhere.py'),
        ([DUAL, '--shape', '16'], '--shape: 16 x 16 is not an image'),
        (
            [DUAL, '--shape', '1', '2', '3'],
            '--shape: 1 x 2 x 3 is not an image',
        ),
        ([DUAL, '--shape', 'x'], 'invalid int value'),
        ([DUAL, '--out', 'a.txt'], '--out: a.txt must end in .json'),
        (
            ['mmdet::_base_/default_runtime.py'],
            'default_runtime.py: the config has no model',
        ),
        (
            [DUAL, '--cfg-options', 'model.type=Nothing'],
            'dual_r50.py: Nothing is not in the',
        ),
        (
            [DUAL, '--cfg-options', 'model.backbone.style=dense'],
            "expected 'slc'",
        ),
    ],
)
def test_mistakes(arguments, words, get_flops):
    status, output = get_flops(*arguments)
    assert status == 2
    assert words in output.splitlines()[-1]
    assert 'Traceback' not in output
