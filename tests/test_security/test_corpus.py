"""Malicious and damaged files are refused on every loading path.

1. Nothing in a file is executed, nothing is left behind, and neither time
   nor memory grows with what a file claims; the error is one sentence that
   names the file.  A file is accepted only where the corpus says why.
2. Honest files of every kind load, on every path that can use them.

Every file is tried on two paths; ``python -m tests.test_security.table``
tries all files on all paths.
"""

import io
import logging

import pytest
import torch

from cbnet.compat.safe_loading import load_safely, safe_reading
from cbnet.errors import BrokenCheckpointError

from .corpus import CORPUS, write
from .loading_paths import PATHS, make_contents
from .table import outcome

FILES = [name for name, entry in CORPUS.items() if entry.kind != 'honest']
HONEST = [name for name, entry in CORPUS.items() if entry.kind == 'honest']
#: a file that torch itself would read
ABSURD = 'repeated_to_a_terabyte'
#: the number of paths of each file, beside the loader that all share
TURNS = 1


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
        allowed = {'clear', 'accepted'} if entry.reason(path) else {'clear'}
        found, text = outcome(entry, path, folder, contents)
        assert found in allowed, f'{path}: {found}: {text}'


def test_readers_of_other_packages_are_checked(folder, contents):
    """Timm and the loader of addresses call ``torch.load`` themselves."""
    content = contents['backbone']
    file = write(CORPUS[ABSURD], folder / 'elsewhere', content)
    before = torch.load
    with pytest.raises(BrokenCheckpointError, match='https://x: .*16 times'):
        with safe_reading('https://x'):
            torch.load(file)
    assert torch.load is before


def test_streams_are_checked(folder, contents):
    """The stores of mmengine give bytes, not files."""
    stream = io.BytesIO()
    torch.save(contents['backbone'], stream)
    stream.seek(0)
    assert load_safely(stream).keys() == contents['backbone'].keys()
    file = write(CORPUS[ABSURD], folder / 'stream', contents['backbone'])
    with pytest.raises(BrokenCheckpointError, match='16 times'):
        load_safely(io.BytesIO(file.read_bytes()))


@pytest.mark.parametrize('name', HONEST)
def test_honest_files_load(name, folder, contents):
    entry = CORPUS[name]
    for path in paths_of(name):
        found, text = outcome(entry, path, folder, contents)
        wanted = 'accepted' if entry.reason(path) else 'clear'
        assert found == wanted, f'{path}: {text}'
