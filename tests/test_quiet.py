"""What libraries print is kept from the standard output of one thread alone.

1. Threads that are silent at the same time, in whatever order they begin and
   end, leave the standard output as it was, and keep what they print.
2. Other threads print as before meanwhile, and see their terminal.
3. It may be nested, and an exception ends it.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from cbnet.quiet import quiet_output


def say(text):
    sys.stdout.write(f'{text}\n')


@pytest.mark.parametrize('first', [0, 1])
def test_two_threads(capsys, first):
    before, together = sys.stdout, Barrier(3, timeout=60)
    ended = [Barrier(2, timeout=60) for _ in range(2)]

    def work(number):
        with quiet_output() as printed:
            together.wait()
            say(f'in {number}')
            ended[number].wait()
        ended[number].wait()
        say(f'after {number}')
        return printed.getvalue()

    with ThreadPoolExecutor(2) as pool:
        works = [pool.submit(work, number) for number in range(2)]
        together.wait()
        say('outside')
        for number in (first, 1 - first):
            ended[number].wait()
            ended[number].wait()
        assert [one.result() for one in works] == ['in 0\n', 'in 1\n']
    assert sys.stdout is before
    said = capsys.readouterr().out.splitlines()
    assert said[0] == 'outside'
    assert sorted(said) == ['after 0', 'after 1', 'outside']


def test_the_terminal_of_other_threads(monkeypatch):
    monkeypatch.setattr(sys.stdout, 'isatty', lambda: True, raising=False)
    with ThreadPoolExecutor(1) as pool, quiet_output():
        assert not sys.stdout.isatty()
        assert pool.submit(lambda: sys.stdout.isatty()).result()


def test_nested_and_ended_by_an_exception(capsys):
    before = sys.stdout
    with pytest.raises(ValueError), quiet_output() as outer:
        say('a')
        with quiet_output() as inner:
            say('b')
        say('c')
        raise ValueError
    assert (outer.getvalue(), inner.getvalue()) == ('a\nc\n', 'b\n')
    assert sys.stdout is before and not capsys.readouterr().out
