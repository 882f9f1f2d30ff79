"""Configs in the dialect of mmdet 2.x, on the tiny data set; migrated."""

from pathlib import Path

import pytest
from mmengine.config import Config

from cbnet.migration import migrate_config
from cbnet.migration.config import convert

OLD = Path(__file__).parent / 'old_configs'


def copy_old_configs(tiny_coco, folder):
    """Copy the old configs, with the tiny data set as their data."""
    for file in OLD.rglob('*.py'):
        text = file.read_text().replace('DATA_ROOT', str(tiny_coco.root))
        copy = folder / file.relative_to(OLD)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(text)


@pytest.fixture
def old_configs(tiny_coco, tmp_path):
    copy_old_configs(tiny_coco, tmp_path / 'old')
    return tmp_path / 'old'


@pytest.fixture
def migrate(old_configs, tmp_path):
    """Migrate a config; give the new one, the report and the problem."""

    def migrate(name, text=None):
        if text is not None:
            (old_configs / name).write_text(text)
        out = tmp_path / 'new' / name
        report, problem = migrate_config(old_configs / name, out)
        return Config.fromfile(out), report, problem

    return migrate


@pytest.fixture
def convert_with(old_configs):
    """Convert the published config with lines added, without writing."""

    def converted(lines):
        path = old_configs / 'line.py'
        path.write_text(f"_base_ = './faster_r50.py'\n{lines}\n")
        old = Config.fromfile(path, import_custom_modules=False)
        return convert(old.to_dict())

    return converted


@pytest.fixture(scope='session')
def everything(tiny_coco, tmp_path_factory):
    """The config with everything, migrated: new config, report, problem."""
    folder = tmp_path_factory.mktemp('everything')
    copy_old_configs(tiny_coco, folder / 'old')
    out = folder / 'new.py'
    report, problem = migrate_config(folder / 'old' / 'everything.py', out)
    return Config.fromfile(out), report, problem
