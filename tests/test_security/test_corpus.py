"""Malicious and damaged files are refused on every loading path.

1. Nothing in a file is executed, nothing is left behind, and neither time
   nor memory grows with what a file claims; the error is one sentence that
   names the file.  A file is accepted only where the corpus says why.
2. Honest files of every kind load, on every path that can use them.

Every file is tried on four paths; ``python -m tests.test_security.table``
tries all files on all paths.
"""

import logging

import pytest

from .corpus import CORPUS
from .loading_paths import PATHS, make_contents
from .table import outcome

FILES = [name for name, entry in CORPUS.items() if entry.kind != 'honest']
HONEST = [name for name, entry in CORPUS.items() if entry.kind == 'honest']
#: how many paths of those that take turns, beside the loader of all
TURNS = 3


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('security')


@pytest.fixture(scope='module')
def contents(folder):
    return make_contents(folder)


@pytest.fixture(autouse=True)
def quiet():
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


def paths_of(name):
    """Choose paths so that each one gets its share of the files."""
    others = [path for path in PATHS if path != 'loader']
    first = list(CORPUS).index(name) * TURNS
    turns = [others[(first + i) % len(others)] for i in range(TURNS)]
    named = [path for path in CORPUS[name].accepted if path in PATHS]
    return {'loader': None, **dict.fromkeys([*turns, *named])}


def test_the_corpus_is_large():
    kinds = [entry.kind for entry in CORPUS.values()]
    assert kinds.count('malicious') >= 60 and kinds.count('damaged') >= 100


@pytest.mark.parametrize('name', FILES)
def test_files_are_refused(name, folder, contents):
    entry = CORPUS[name]
    for path in paths_of(name):
        expected = 'accepted' if entry.reason(path) else 'clear'
        found, text = outcome(entry, path, folder, contents)
        assert found == expected, f'{path}: {text}'


@pytest.mark.parametrize('name', HONEST)
def test_honest_files_load(name, folder, contents):
    entry = CORPUS[name]
    for path in paths_of(name):
        found, text = outcome(entry, path, folder, contents)
        wanted = 'accepted' if entry.reason(path) else 'clear'
        assert found == wanted, f'{path}: {text}'
