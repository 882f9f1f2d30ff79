"""Look through the pickle of a checkpoint before anything is made from it.

The pickle is a program for a small machine with a stack.  Here the machine
runs on descriptions: a name stands for itself, a call is described, and
nothing is imported, called or allocated.  What torch would do is then known
before torch does it.
"""

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any

from .file_errors import FileFault

#: more than the pickle of any checkpoint; its tensors are outside of it
MOST_BYTES = 1 << 30
_SCALARS = (str, bytes, int, float, bool, type(None))
_LARGEST_KEY = 100


@dataclass(frozen=True)
class Name:
    """A name that the pickle asks for, such as ``'collections.deque'``."""

    path: str


class Table:
    """A dict, of which only the keys matter."""

    def __init__(self) -> None:
        self.keys: list[Any] = []

    def add(self, key: Any) -> None:
        """Add a key, unless looking it up may take for ever."""
        require_key(key)
        self.keys.append(key)


class Made:
    """What a call returns; subclasses describe storages and tensors."""


def require_key(key: Any) -> None:
    """Refuse keys that take long to hash.

    Tuples that share tuples take a few bytes in a pickle, but every hash
    visits all of them.
    """
    left, waiting = _LARGEST_KEY, [key]
    while waiting and left:
        found = waiting.pop()
        left -= 1
        if type(found) is tuple:
            waiting.extend(found)
        elif not isinstance(found, (*_SCALARS, Name, Made)):
            raise FileFault(f'a dict has a {_kind(found)} as a key')
    if waiting:
        raise FileFault('a dict has a vast tuple as a key')


def _kind(value: Any) -> str:
    return 'dict' if type(value) is Table else type(value).__name__


class LimitedStream:
    """A stream that ends with an error if a pickle in it is too long."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream, self.left, self.tell = stream, MOST_BYTES, stream.tell

    def read(self, size: int) -> bytes:
        """Read ``size`` bytes."""
        return self._counted(self.stream.read(min(size, self.left + 1)))

    def readline(self) -> bytes:
        """Read a line, which holds a name."""
        return self._counted(self.stream.readline(min(10_000, self.left + 1)))

    def _counted(self, data: bytes) -> bytes:
        self.left -= len(data)
        if self.left < 0:
            raise FileFault(f'its pickle is longer than {MOST_BYTES} bytes')
        return data


def scan(
    stream: IO[bytes],
    name: Callable[[str], Any],
    call: Callable[[str, tuple[Any, ...]], Any],
    build: Callable[[Any, Any], None],
    load: Callable[[Any], Any],
) -> Any:
    """Run one pickle on descriptions.

    Args:
        stream: the stream, which is left behind the pickle.
        name: checks a name that the pickle asks for.
        call: describes the result of calling a name with arguments.
        build: checks the state that an object is given.
        load: describes the storage of a persistent id.

    Returns:
        The description of what the pickle makes.

    Raises:
        FileFault: torch would refuse the pickle, or a callback does.
        ValueError, IndexError, KeyError: the pickle is damaged.
    """
    stack: list[Any] = []
    marks: list[list[Any]] = []
    memo: dict[int, Any] = {}
    for code, argument, _ in pickletools.genops(stream):
        match code.name:
            case 'BINPUT' | 'LONG_BINPUT':
                memo[argument] = stack[-1]
            case 'BINGET' | 'LONG_BINGET':
                stack.append(memo[argument])
            case (
                'BININT1' | 'BINUNICODE' | 'BININT2' | 'BININT' | 'BINFLOAT'
                | 'LONG1' | 'SHORT_BINSTRING'
            ):  # fmt: skip
                stack.append(argument)
            case 'MARK':
                marks.append(stack)
                stack = []
            case 'NONE' | 'NEWTRUE' | 'NEWFALSE':
                stack.append(_CONSTANTS[code.name])
            case 'EMPTY_TUPLE':
                stack.append(())
            case 'EMPTY_LIST':
                stack.append([])
            case 'EMPTY_SET':
                stack.append(Made())
            case 'EMPTY_DICT':
                stack.append(Table())
            case 'TUPLE1' | 'TUPLE2' | 'TUPLE3':
                count = int(code.name[-1])
                stack[-count:] = [tuple(_last(stack, count))]
            case 'TUPLE':
                items, stack = tuple(stack), marks.pop()
                stack.append(items)
            case 'APPEND':
                item = stack.pop()
                _list(stack[-1]).append(item)
            case 'APPENDS':
                items, stack = stack, marks.pop()
                _list(stack[-1]).extend(items)
            case 'SETITEM':
                key, _ = _last(stack, 2)
                del stack[-2:]
                _table(stack[-1]).add(key)
            case 'SETITEMS':
                items, stack = stack, marks.pop()
                for key in items[::2]:
                    _table(stack[-1]).add(key)
            case 'GLOBAL':
                path = '.'.join(argument.split(' ', 1))
                path = path.replace('__builtin__.', 'builtins.', 1)
                stack.append(name(path))
            case 'REDUCE' | 'NEWOBJ':
                function, arguments = _last(stack, 2)
                if type(function) is not Name or type(arguments) is not tuple:
                    raise FileFault('it calls what is no name', unsafe=True)
                stack[-2:] = [call(function.path, arguments)]
            case 'BUILD':
                state = stack.pop()
                build(stack[-1], state)
            case 'BINPERSID':
                stack[-1] = load(stack[-1])
            case 'PROTO':
                pass
            case 'STOP':
                return stack.pop()
            case _:
                raise FileFault(
                    f'its pickle has an instruction that torch does not '
                    f'write ({code.name})'
                )
    raise EOFError


_CONSTANTS = {'NONE': None, 'NEWTRUE': True, 'NEWFALSE': False}


def _last(stack: list[Any], count: int) -> list[Any]:
    if len(stack) < count:
        raise EOFError
    return stack[-count:]


def _list(value: Any) -> list[Any]:
    if type(value) is not list:
        raise FileFault(f'it appends to a {_kind(value)}')
    return value


def _table(value: Any) -> Table:
    if not isinstance(value, Table):
        raise FileFault(f'it sets items of a {_kind(value)}')
    return value
