"""``cbnet benchmark``: variants, sweeps, and what is written.

- a variant is a further candidate with the same weights;
- a sweep over members changes the composite and its assistance;
- wrong options end in one sentence.
"""

import json

import pytest

from cbnet.commands.benchmark import read_sweep, read_variant, set_members

QUICK = ['--shape', '64', '96', '--rounds', '1', '--part-passes', '0']


def test_variants_and_files(tiny_config, run_command, tmp_path):
    files = [f'--{n}={tmp_path / f"out.{e}"}' for n, e in (
        ('json', 'json'), ('markdown', 'md'), ('plot', 'png'))]  # fmt: skip
    status, said = run_command(
        'benchmark', tiny_config, *QUICK, *files, '--device', 'cpu',
        '--variant', 'shallow: model.backbone.style=slc',
        '--variant', 'same: model.test_cfg.rcnn.score_thr=0.5',
        '--sweep', 'members', '1', '2',
    )  # fmt: skip
    assert status == 0, said
    content = json.loads((tmp_path / 'out.json').read_text())
    one, two = (point['results'] for point in content['points'])
    names = [result['name'] for result in two]
    assert names == ['tiny', 'tiny (shallow)', 'tiny (same)']
    assert one[0]['macs'] < two[0]['macs']
    assert two[1]['macs'] != two[0]['macs'] and two[2]['difference'] == 0
    assert (tmp_path / 'out.md').read_text() in said
    assert (tmp_path / 'out.png').exists()


def test_against_a_config_in_training(tiny_config, run_command, tmp_path):
    other = tmp_path / 'single.py'
    other.write_text(
        f'_base_ = {str(tiny_config)!r}\nmodel = dict(assistance=dict('
        'weights=[]), backbone=dict(num_members=1))\n'
    )
    status, said = run_command(
        'benchmark', tiny_config, '--against', other, '--train', *QUICK,
        '--device', 'cpu', '--clock', 'cpu',
    )  # fmt: skip
    assert status == 0, said
    assert said.index('| single') < said.index('| tiny')
    assert 'a training step of the detector' in said


def test_members_and_assistance(tiny_config):
    from mmengine.config import Config

    cfg = Config.fromfile(tiny_config)
    set_members(cfg, 4)
    assert cfg.model.assistance.weights == [0.5, 0.5, 0.5]
    set_members(cfg, 1)
    assert cfg.model.assistance.weights == []
    cfg.model.backbone.member = [cfg.model.backbone.member] * 2
    with pytest.raises(ValueError, match='lists its members'):
        set_members(cfg, 3)


def test_reading():
    assert read_variant('fast: a=1 b.c="[2]"') == (
        'fast',
        ['a=1', 'b.c="[2]"'],
    )
    assert read_sweep(['shape', '64x96']) == ('shape', [(64, 96)])
    assert read_sweep(None) == ('', [])


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--variant', 'fast'], 'expected a name, a colon and overrides'),
        (['--sweep', 'batch'], 'expected one of shape, batch, members'),
        (['--sweep', 'size', '2'], 'expected one of shape, batch, members'),
        (['--sweep', 'shape', '64'], "'64', expected HxW of 32 pixels"),
        (['--sweep', 'shape', '8x64'], "'8x64', expected HxW of 32 pixels"),
        (['--sweep', 'batch', '0'], "'0', expected 1 or more"),
        (['--shape', '64', '64', '64'], '3 numbers, expected a height'),
        (['--device', 'tpu9'], "--device 'tpu9' cannot be used"),
        (['--variant', 'x: model.backbone.style=no'], "style='no'; expected"),
        (['--against', 'no.py'], 'no.py'),
    ],
)
def test_wrong_options(options, message, tiny_config, run_command):
    status, said = run_command('benchmark', tiny_config, *QUICK, *options)
    assert status == 2
    assert message in said.splitlines()[-1]
