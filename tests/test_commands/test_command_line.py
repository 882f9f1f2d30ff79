"""Command lines: mistakes end in one line, options reach the config.

- config, checkpoint, overrides, launcher, --out, --auto-scale-lr wrong;
- --auto-scale-lr, --amp, --resume, --show-dir set what mmengine reads;
- --resume without any checkpoint yet keeps load_from of the config.
"""

import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from torch import nn

from cbnet.commands import test, train
from cbnet.engine.launch import LAUNCHERS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Call a tool in this process with a stand-in for the runner."""
    monkeypatch.chdir(tmp_path)
    built = []

    def build(cfg):
        built.append(cfg)
        metrics = SimpleNamespace(metrics=[])
        return SimpleNamespace(
            train=lambda: None,
            test=lambda: None,
            test_evaluator=metrics,
            model=nn.Module(),
        )

    for command in (train, test):
        monkeypatch.setattr(command, 'build_runner', build)

    def run(tool, *arguments):
        monkeypatch.setattr(sys, 'argv', [tool, *map(str, arguments)])
        runpy.run_path(str(ROOT / 'tools' / tool), run_name='__main__')
        return built[-1]

    return run


@pytest.fixture
def small_config(tmp_path):
    path = tmp_path / 'small.py'
    path.write_text(
        "optim_wrapper = dict(type='OptimWrapper', optimizer=dict(lr=1.0))\n"
        "data = dict(sampler=dict(type='DefaultSampler'), dataset=dict(\n"
        "    type='VOCDataset', pipeline=[dict(type='PackDetInputs')]))\n"
        'train_dataloader = dict(batch_size=2, **data)\n'
        'test_dataloader = dict(batch_size=1, **data)\n'
        "default_hooks = dict(visualization=dict(type='Hook'))\n"
        'auto_scale_lr = dict(enable=False, base_batch_size=16)\n'
        "load_from = 'weights.pth'\n"
    )
    (tmp_path / 'weights.pth').touch()
    return path


MISTAKES = [
    ('train.py', ['gone.py'], 'no config file gone.py'),
    ('train.py', ['nowhere::a/b.py'], 'no package nowhere is installed'),
    ('train.py', ['mmdet::a/b.py'], 'no config file'),
    ('train.py', ['CONFIG', '--cfg-options', 'lr'], 'takes KEY=VALUE pairs'),
    (
        'train.py',
        ['CONFIG', '--cfg-options', 'optim_wrapper.type.x=1'],
        '--cfg-options: TypeError: type=',
    ),
    (
        'train.py',
        ['CONFIG', '--cfg-options', 'train_dataloader=None'],
        'training needs train_dataloader in the config',
    ),
    (
        'train.py',
        ['CONFIG', '--auto-scale-lr', '--cfg-options', 'auto_scale_lr=None'],
        '--auto-scale-lr needs auto_scale_lr.base_batch_size in the config',
    ),
    (
        'train.py',
        ['CONFIG', '--amp', '--cfg-options', 'optim_wrapper.type=Own'],
        '--amp replaces OptimWrapper, but the config has Own',
    ),
    ('train.py', ['CONFIG', '--resume', 'a.pth'], '--resume: no file a.pth'),
    ('train.py', ['CONFIG', '--launcher', 'pytorch'], 'found no RANK'),
    ('train.py', ['CONFIG', '--launcher', 'slurm'], 'no SLURM_PROCID'),
    ('test.py', ['CONFIG', 'a.pth'], 'checkpoint: no file a.pth'),
    (
        'test.py',
        ['CONFIG', 'weights.pth', '--out', 'boxes.json'],
        '--out: boxes.json must end in .pkl or .pickle',
    ),
    (
        'test.py',
        ['CONFIG', 'weights.pth', '--show-dir', 'd']
        + ['--cfg-options', 'default_hooks=None'],
        '--show-dir needs default_hooks in the config',
    ),
    (
        'test.py',
        ['CONFIG', 'weights.pth', '--show-dir', 'weights.pth'],
        '--show-dir: weights.pth is a file; name a folder',
    ),
    (
        'test.py',
        ['CONFIG', 'weights.pth', '--show-dir', 'weights.pth/figures'],
        'weights.pth/figures: weights.pth is a file; name a folder',
    ),
]


@pytest.mark.parametrize(('tool', 'arguments', 'message'), MISTAKES)
def test_a_mistake_ends_in_one_line(
    tool, arguments, message, call, small_config, monkeypatch, capsys
):
    for name in LAUNCHERS['pytorch'].values():
        monkeypatch.delenv(name, raising=False)
    arguments = [small_config if a == 'CONFIG' else a for a in arguments]
    with pytest.raises(SystemExit) as stop:
        call(tool, *arguments)
    assert stop.value.code == 2
    hint, error = capsys.readouterr().err.splitlines()
    usage = f'usage: {tool} CONFIG'
    assert hint.startswith((usage, 'CBNET_TRACEBACK=1', 'traceback: '))
    assert error.startswith(f'{tool}: error: ') and message in error


def test_a_broken_config_is_named(call, tmp_path, capsys):
    path = tmp_path / 'broken.py'
    path.write_text("_base_ = 'gone.py'\n")
    with pytest.raises(SystemExit):
        call('train.py', path)
    assert f'{path}: ' in capsys.readouterr().err.splitlines()[-1]
    path.write_text('model = dict(\n')
    with pytest.raises(SystemExit):
        call('train.py', path)
    assert str(path) in capsys.readouterr().err.splitlines()[-1]


def test_train_options_reach_the_config(call, small_config, monkeypatch):
    monkeypatch.setattr('mmengine.device.get_device', lambda: 'cpu')
    cfg = call('train.py', small_config)
    assert cfg.work_dir == 'work_dirs/small'
    assert not cfg.get('resume') and not cfg.auto_scale_lr.enable
    cfg = call(
        'train.py', small_config, '--amp', '--auto-scale-lr',
        '--work-dir', 'here', '--cfg-options', 'optim_wrapper.loss_scale=8.',
        'train_dataloader.batch_size=4',
    )  # fmt: skip
    assert cfg.work_dir == 'here'
    assert cfg.auto_scale_lr.enable
    assert cfg.train_dataloader.batch_size == 4
    assert cfg.optim_wrapper.type == 'CpuAmpOptimWrapper'
    assert 'loss_scale' not in cfg.optim_wrapper
    monkeypatch.setattr('mmengine.device.get_device', lambda: 'cuda')
    cfg = call('train.py', small_config, '--amp')
    assert cfg.optim_wrapper.type == 'AmpOptimWrapper'
    assert cfg.optim_wrapper.loss_scale == 'dynamic'


def test_resume_finds_its_checkpoint(call, small_config, tmp_path):
    cfg = call('train.py', small_config, '--resume', '--work-dir', 'new')
    assert cfg.load_from == 'weights.pth' and not cfg.get('resume')
    (tmp_path / 'new').mkdir()
    (tmp_path / 'new' / 'iter_3.pth').touch()
    (tmp_path / 'new' / 'last_checkpoint').write_text('/old/new/iter_3.pth')
    cfg = call('train.py', small_config, '--resume', '--work-dir', 'new')
    assert cfg.load_from == 'new/iter_3.pth' and cfg.resume


def test_test_options_reach_the_config(call, small_config, tmp_path):
    cfg = call('test.py', small_config, 'weights.pth', '--show-dir', 'd')
    assert cfg.load_from == 'weights.pth'
    hook = cfg.default_hooks.visualization
    assert hook.draw and hook.test_out_dir == str(tmp_path / 'd')
    # The runner writes its config, and must not replace the training run's.
    assert Path(cfg.filename).name == 'small_test.py'
    assert cfg.work_dir.endswith('small')
    # an address is not looked for on this disk
    cfg = call('test.py', small_config, 'https://example.org/a.pth')
    assert cfg.load_from == 'https://example.org/a.pth'
