"""What the calls in the pickle of a checkpoint take.

Each function describes what one name of torch's safe list returns, and
refuses the arguments that honest files do not give it: some of them allocate
what they are told, others double a text or hash a nested tuple.
"""

from typing import Any

import torch

from .file_errors import FileFault
from .pickle_scan import Made, Table, require_key


class Ordered(Table, Made):
    """An OrderedDict."""


def is_count(value: Any) -> bool:
    """Tell whether a value is a whole number from 0 on."""
    return type(value) is int and value >= 0


def require(allowed: bool, what: str) -> None:
    """Refuse a file that describes something as torch never does."""
    if not allowed:
        raise FileFault(f'it describes {what} in a way that torch never does')


def _ordered(*arguments: Any) -> Ordered:
    # Python 2 wrote the items into the call.
    made = Ordered()
    items = arguments[0] if arguments else []
    require(len(arguments) < 2 and type(items) is list, 'an OrderedDict')
    for item in items:
        require(type(item) in (list, tuple) and len(item) == 2, 'an item')
        made.add(item[0])
    return made


def _counter(*arguments: Any) -> Ordered:
    require(
        len(arguments) < 2 and all(type(a) is Table for a in arguments),
        'a Counter',
    )
    return Ordered()


def _set(*arguments: Any) -> Made:
    require(
        len(arguments) < 2 and all(type(a) is list for a in arguments), 'a set'
    )
    for item in arguments[0] if arguments else ():
        require_key(item)
    return Made()


def _encode(*arguments: Any) -> bytes:
    require(
        len(arguments) == 2
        and type(arguments[0]) is str
        and arguments[1] in ('latin1', 'latin-1', 'ascii', 'utf-8'),
        'bytes',
    )
    return arguments[0].encode(arguments[1])


def _bytearray(*arguments: Any) -> Made:
    data, *encoding = arguments or (b'',)
    require(
        (type(data) is str and encoding in (['latin-1'], ['latin1']))
        or (type(data) in (bytes, Made) and not encoding),
        'a bytearray',
    )
    return Made()


def _complex(*arguments: Any) -> complex:
    require(
        len(arguments) == 2 and all(type(a) is float for a in arguments),
        'a complex number',
    )
    return complex(*arguments)


def _size(*arguments: Any) -> tuple[int, ...]:
    require(
        len(arguments) == 1
        and type(arguments[0]) is tuple
        and all(map(is_count, arguments[0])),
        'a size',
    )
    return arguments[0]


def _device(*arguments: Any) -> Made:
    try:
        torch.device(*arguments)
    except (RuntimeError, TypeError):
        raise FileFault('it asks for a device that does not exist') from None
    return Made()


def _layout(*arguments: Any) -> Made:
    require(len(arguments) == 1 and type(arguments[0]) is str, 'a layout')
    return Made()


#: name -> the function that describes its call
CALLS = {
    'collections.OrderedDict': _ordered,
    'collections.Counter': _counter,
    'builtins.set': _set,
    'builtins.bytearray': _bytearray,
    'builtins.complex': _complex,
    '_codecs.encode': _encode,
    'torch.Size': _size,
    'torch.device': _device,
    'torch.serialization._get_layout': _layout,
}
