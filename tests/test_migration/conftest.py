"""Configs of mmdet 2.x on the tiny data set, and their migration."""

from pathlib import Path

import pytest
from mmengine.config import Config

from cbnet.migration import migrate_config
from cbnet.migration.config import convert

PUBLISHED = Path(__file__).parent / 'published_configs'


def copy_published_configs(tiny_coco, folder):
    """Copy the configs, with the tiny data set as their data."""
    for file in PUBLISHED.rglob('*.py'):
        text = file.read_text().replace('DATA_ROOT', str(tiny_coco.root))
        copy = folder / file.relative_to(PUBLISHED)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(text)


@pytest.fixture
def published_configs(tiny_coco, tmp_path):
    copy_published_configs(tiny_coco, tmp_path / 'published')
    return tmp_path / 'published'


@pytest.fixture
def migrate(published_configs, tmp_path):
    """Migrate a config; give the new one, the report and the problem."""

    def migrate(name, text=None):
        if text is not None:
            (published_configs / name).write_text(text)
        out = tmp_path / 'new' / name
        report, problem = migrate_config(published_configs / name, out)
        return Config.fromfile(out), report, problem

    return migrate


@pytest.fixture
def convert_with(published_configs):
    """Convert the published config with lines added, without writing."""

    def converted(lines):
        path = published_configs / 'line.py'
        path.write_text(f"_base_ = './faster_r50.py'\n{lines}\n")
        published = Config.fromfile(path, import_custom_modules=False)
        return convert(published.to_dict())

    return converted


@pytest.fixture(scope='session')
def everything(tiny_coco, tmp_path_factory):
    """The config with everything, migrated: new config, report, problem."""
    folder = tmp_path_factory.mktemp('everything')
    copy_published_configs(tiny_coco, folder / 'published')
    out = folder / 'new.py'
    report, problem = migrate_config(
        folder / 'published' / 'everything.py', out
    )
    return Config.fromfile(out), report, problem
