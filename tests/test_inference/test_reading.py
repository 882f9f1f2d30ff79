"""Files are read ahead in their order, a bounded number of them.

A file that cannot be read stops only itself.
"""

import threading
import time

import pytest

from cbnet.inference.reading import read_ahead


def wait_for(condition):
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError('it did not happen')


@pytest.mark.parametrize('number', [1, 3])
def test_how_many(number):
    started, threads = [], set()

    def read(one):
        started.append(one)
        threads.add(threading.current_thread())
        return one * 10

    found = []
    for count, content in enumerate(read_ahead(read, range(8), number), 1):
        found.append(content())
        wait_for(lambda: len(started) == min(count + number, 8))  # noqa: B023
        time.sleep(0.01)
        assert len(started) == min(count + number, 8)
    assert found == [one * 10 for one in range(8)]
    assert threading.main_thread() not in threads


def test_errors():
    def read(one):
        if one % 2:
            raise ValueError(f'{one} is odd')
        time.sleep(0.02 * (one == 0))
        return one

    contents = list(read_ahead(read, range(4), 2))
    assert [content() for content in contents[::2]] == [0, 2]
    for one in (1, 3):
        with pytest.raises(ValueError, match=f'{one} is odd'):
            contents[one]()


def test_nothing_to_read():
    assert list(read_ahead(str, [], 2)) == []
