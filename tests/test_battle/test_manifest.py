"""What makes a folder the folder of one battle.

1. Calls add entries, data sets and rates; the first environment stays, and so
   does the reference until another one is given.
2. What changes an entry, or mixes up the runs of two, is refused, and the
   sentence names the place.
3. A dry run and a lock leave a folder free; other files do not.
4. The revision is that of the package, wherever the battle is started, and
   is left out if git does not track the package.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

import cbnet
from cbnet.battle.dry_runs import MEASURED, keep_measured, read_measured
from cbnet.battle.manifest import (
    environment,
    joined,
    read_manifest,
    write_manifest,
)
from cbnet.battle.revision import revision

IDENTITY = dict(head='retinanet', scale=(96, 64))


def entry(folder, scale=1.0):
    return dict(folder=folder, members=[dict(name='a', scale=scale)])


def add(folder, entries, **added):
    content = joined(folder, IDENTITY, entries=entries, data={}, **added)
    write_manifest(folder, content)
    return read_manifest(folder)


def test_calls_add_up(tmp_path):
    first = add(tmp_path, {'a': entry('a')}, lrs=[1e-4, 3e-4], reference='a')
    write_manifest(tmp_path, first | dict(environment=dict(cbnet='0.1')))
    found = add(tmp_path, {'b': entry('b')}, lrs=[1e-3, 1e-4])
    assert [*found['entries']] == ['a', 'b']
    assert found['lrs'] == [1e-4, 3e-4, 1e-3]
    assert found['reference'] == 'a'
    assert found['environment'] == dict(cbnet='0.1')
    found = add(tmp_path, {'a': entry('a')}, reference='b')
    assert (found['lrs'], found['reference']) == ([1e-4, 3e-4, 1e-3], 'b')


@pytest.mark.parametrize(
    ('entries', 'sentence'),
    [
        (
            {'A b': entry('a_B')},
            "'A b' would lie in the folder of 'a b', .* with the option name=",
        ),
        (
            {'a b': entry('a_b', scale=0.5)},
            r'its entries a b\.members\.0\.scale is 1\.0, not 0\.5',
        ),
    ],
)
def test_what_is_refused(tmp_path, entries, sentence):
    before = add(tmp_path, {'a b': entry('a_b')})
    entries = {'new': entry('new'), **entries}
    with pytest.raises(ValueError, match=sentence):
        joined(tmp_path, IDENTITY, entries=entries, data={})
    assert read_manifest(tmp_path) == before


@pytest.mark.parametrize(
    ('name', 'free'), [(MEASURED, True), ('.lock', True), ('x.py', False)]
)
def test_a_folder_that_is_free(tmp_path, name, free):
    (tmp_path / name).write_text('{}')
    if free:
        assert add(tmp_path, {'a': entry('a')})['entries']
    else:
        with pytest.raises(ValueError, match='holds no battle; name a new'):
            add(tmp_path, {'a': entry('a')})


def test_what_a_dry_run_measured(tmp_path):
    depends = dict(a=dict(scale=(96, 64)), b=dict(scale=None))
    keep_measured(tmp_path, depends, dict(a=1, b=[2]))
    keep_measured(tmp_path, dict(c=None), dict(c=3))
    assert read_measured(tmp_path, depends) == dict(a=1, b=[2])
    assert read_measured(tmp_path, dict(c=None, d=None)) == dict(c=3)
    assert read_measured(tmp_path, dict(depends, a={})) == dict(b=[2])


def git(folder, *words):
    mine = ['-c', 'user.name=me', '-c', 'user.email=me@x.y']
    mine += ['-c', 'commit.gpgsign=false']
    done = subprocess.run(
        ['git', '-C', folder, *mine, *words],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository of another project, with a package that is committed."""
    if not shutil.which('git'):
        pytest.skip('there is no git')
    for name in ('GIT_DIR', 'GIT_WORK_TREE', 'GIT_INDEX_FILE'):
        monkeypatch.delenv(name, raising=False)
    for name in ('known', 'unknown'):
        (tmp_path / name).mkdir()
        (tmp_path / name / '__init__.py').touch()
    git(tmp_path, 'init')
    git(tmp_path, 'add', 'known')
    git(tmp_path, 'commit', '-m', 'first')
    return tmp_path


def test_the_revision(repository, monkeypatch):
    commit = git(repository, 'rev-parse', 'HEAD')[:12]
    assert revision(repository / 'known') == commit
    assert revision(repository / 'unknown') is None
    monkeypatch.setenv('GIT_DIR', str(repository / '.git'))
    monkeypatch.chdir(repository)
    assert revision(Path(cbnet.__file__).parent) != commit
    assert environment().get('revision', '') != commit
    monkeypatch.setenv('PATH', '')
    assert 'revision' not in environment()
