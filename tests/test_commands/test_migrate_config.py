"""tools/misc/migrate_config.py: a migrated config trains; mistakes.

- A tiny published config is migrated; the new one trains and is evaluated.
- The whole report is printed.
- A backbone that is not served, and a missing base file, end in one line
  with exit status 2; a model that does not build ends in exit status 1.
"""

import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / 'tests' / 'test_migration' / 'published_configs'


@pytest.fixture
def call(monkeypatch):
    """Call the tool in this process."""

    def run(*arguments):
        arguments = ['migrate_config.py', *map(str, arguments)]
        monkeypatch.setattr(sys, 'argv', arguments)
        tool = ROOT / 'tools' / 'misc' / 'migrate_config.py'
        runpy.run_path(str(tool), run_name='__main__')

    return run


def test_a_migrated_config_trains(call, tiny_coco, run_tool, tmp_path, capsys):
    for file in PUBLISHED.rglob('*.py'):
        copy = tmp_path / 'published' / file.relative_to(PUBLISHED)
        copy.parent.mkdir(parents=True, exist_ok=True)
        text = file.read_text().replace('DATA_ROOT', str(tiny_coco.root))
        copy.write_text(text)
    new = run_tool.folder / 'new.py'
    call(tmp_path / 'published' / 'tiny.py', '--out', new)
    first, *remarks, wrote, train = capsys.readouterr().out.splitlines()
    assert first.startswith(f'{len(remarks)} remarks on ')
    assert any('auto_scale_lr.base_batch_size=16' in r for r in remarks)
    assert wrote == f'wrote {new}'
    assert train == f'train: cbnet train {new}'

    trained = run_tool('train.py', new)
    assert trained.returncode == 0, trained.stdout
    assert 'Epoch(train) [1][2/2]' in trained.stdout
    assert 'assist0.loss_bbox: ' in trained.stdout
    assert 'coco/bbox_mAP:' in trained.stdout


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        (
            "model = dict(type='X', backbone=dict(type='CBGoneNet'))",
            "backbone.type='CBGoneNet'; served: CBResNet",
        ),
        ("_base_ = './gone.py'", 'it inherits from a file that is missing'),
        ('data_root = 1', 'the config has no model'),
    ],
)
def test_a_mistake_ends_in_one_line(text, message, call, tmp_path, capsys):
    published = tmp_path / 'published.py'
    published.write_text(text)
    with pytest.raises(SystemExit) as stop:
        call(published, '--out', tmp_path / 'new.py')
    assert stop.value.code == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith('migrate_config.py: error: ') and message in error
    assert not (tmp_path / 'new.py').exists()


def test_out_is_asked_for(call, capsys):
    with pytest.raises(SystemExit) as stop:
        call('published.py')
    assert stop.value.code == 2
    assert '--out' in capsys.readouterr().err.splitlines()[-1]


def test_a_model_that_does_not_build(call, tmp_path, capsys):
    published = tmp_path / 'published.py'
    published.write_text(
        "model = dict(type='GoneRCNN', backbone=dict(type='CBResNet', "
        'depth=50))'
    )
    with pytest.raises(SystemExit) as stop:
        call(published, '--out', tmp_path / 'new.py')
    # Python prints the text of an exit and ends with status 1.
    assert stop.value.code.startswith('its model does not build: ')
    assert 'GoneRCNN' in stop.value.code
    assert 'data: missing' in capsys.readouterr().out
    assert (tmp_path / 'new.py').exists()
