"""``package::path`` finds the configs of a package however it is installed.

In a wheel and an editable install they are in ``.mim``; in a clone that is
merely on the path, beside the package.
"""

import re

import pytest

from cbnet.config_files import check_teacher, find_config, read_config
from cbnet.engine.run_settings import check_model
from cbnet.twins import TwinOptions, compose


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Make an empty package with a unique name and import path."""
    folder = tmp_path / 'some_detectors'
    folder.mkdir()
    (folder / '__init__.py').touch()
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def write(path):
    path.parent.mkdir(parents=True)
    path.touch()
    return path


def test_a_clone_and_an_installation(package):
    in_clone = write(package.parent / 'configs' / 'a' / 'b.py')
    assert find_config('some_detectors::a/b.py') == in_clone
    installed = write(package / '.mim' / 'configs' / 'a' / 'b.py')
    assert find_config('some_detectors::a/b.py') == installed
    assert find_config(str(in_clone)) == in_clone


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('some_detectors::a/c.py', 'no config file .*/configs/a/c.py'),
        ('nowhere::a.py', 'nowhere::a.py: no package nowhere is installed'),
        ('no.where::a.py', 'no package no.where is installed'),
        ('::a.py', 'no package  is installed'),
        ('a.py', 'no config file a.py'),
    ],
)
def test_mistakes(name, message, package):
    with pytest.raises(ValueError, match=message):
        find_config(name)


def test_custom_imports_that_are_not_installed(tmp_path):
    path = tmp_path / 'a.py'
    path.write_text("custom_imports = dict(imports=['some_where.models'])")
    with pytest.raises(ValueError) as raised:
        read_config(path, 'a.py')
    assert str(raised.value) == (
        'a.py: a module of custom_imports cannot be imported: No module named '
        "'some_where'; install its package, or put its folder on PYTHONPATH"
    )


def test_a_teacher_is_looked_for(tmp_path, monkeypatch):
    """The configs of LD in mmdet name it as in a clone of mmdet."""
    monkeypatch.chdir(tmp_path)
    check_teacher(dict(type='GFL'))
    check_teacher(dict(teacher_config=dict(model=dict())))
    with pytest.raises(ValueError) as raised:
        check_teacher(dict(teacher_config='my/teacher.py'))
    assert str(raised.value) == (
        "model.teacher_config='my/teacher.py' is not a file; it is relative "
        f'to the working directory, {tmp_path}; '
        "give the path of the teacher's config"
    )
    write(tmp_path / 'my/teacher.py')
    check_teacher(dict(teacher_config='my/teacher.py'))


def test_a_teacher_that_mmdet_carries(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = 'mmdet::ld/ld_r18-gflv1-r101_fpn_1x_coco.py'
    cfg = read_config(find_config(config), config)
    teacher = find_config('mmdet::gfl/gfl_r101_fpn_ms-2x_coco.py')
    message = re.escape(f"mmdet carries it: give '{teacher}'")
    with pytest.raises(ValueError, match=message):
        check_model(cfg)  # of every command that builds the model
    with pytest.raises(ValueError, match=message):
        compose(config, 'twin.py', TwinOptions())
    cfg.model.teacher_config = str(teacher)
    check_model(cfg)
