"""``package::path`` finds the configs of a package however it is installed.

In a wheel and an editable install they are in ``.mim``; in a clone that is
merely on the path, beside the package.
"""

import pytest

from cbnet.config_files import find_config, read_config


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
