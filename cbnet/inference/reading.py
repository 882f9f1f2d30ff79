"""Read files in threads, while a model computes."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Source = TypeVar('Source')
Content = TypeVar('Content')

_MOST_THREADS = 4


def read_ahead(
    read: Callable[[Source], Content], sources: Iterable[Source], number: int
) -> Iterator[Callable[[], Content]]:
    """Read files before they are asked for, in the order of the files.

    Decoders of images let other threads run meanwhile.

    Args:
        read: a function that reads one file, in any thread.
        sources: the files.
        number: how many files are read before they are asked for, at most.

    Yields:
        For each file a function that returns its content, or raises what
        reading it raised.
    """
    sources = iter(sources)
    with ThreadPoolExecutor(min(number, _MOST_THREADS)) as pool:
        waiting = deque(
            pool.submit(read, one) for one in islice(sources, number)
        )
        while waiting:
            first = waiting.popleft()
            waiting.extend(
                pool.submit(read, one) for one in islice(sources, 1)
            )
            yield first.result
