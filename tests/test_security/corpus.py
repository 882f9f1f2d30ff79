"""A table of files that are malicious, damaged or honest.

Each file is made by one small function out of the content that a loading
path expects, so that nothing but the damage can be the reason for a refusal.
"""

import copy
import io
import pickle
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

Content = dict[str, Any]
Make = Callable[[Path, Content], Path | None]


@dataclass(frozen=True)
class Entry:
    """One kind of file.

    Attributes:
        name: the name of the function that makes it.
        make: takes the path ``net.pth`` in an empty folder and the content,
            which it may change; returns another path if it makes one.
        kind: ``'malicious'``, ``'damaged'`` or ``'honest'``.
        accepted: why a loading path accepts the file; ``'*'`` is the reason
            for all other paths.
    """

    name: str
    make: Make
    kind: str
    accepted: Mapping[str, str] = field(default_factory=dict)

    def reason(self, path: str) -> str | None:
        """Return why a loading path accepts the file, or None."""
        if self.kind == 'honest' and path not in self.accepted:
            return 'the file is honest'
        return self.accepted.get(path, self.accepted.get('*'))


CORPUS: dict[str, Entry] = {}
#: why one path accepts what the others refuse
DATA = 'load_safely returns any data; whoever uses weights checks them'


def register(kind: str, **accepted: str) -> Callable[[Make], Make]:
    """Add a function to the corpus.

    Args:
        kind: see ``Entry``.
        accepted: see ``Entry``; ``everywhere`` stands for ``'*'``.
    """

    def add(make: Make) -> Make:
        reasons = {
            '*' if name == 'everywhere' else name: reason
            for name, reason in accepted.items()
        }
        assert make.__name__ not in CORPUS
        CORPUS[make.__name__] = Entry(make.__name__, make, kind, reasons)
        return make

    return add


def write(entry: Entry, folder: Path, content: Content) -> Path:
    """Make a file of the corpus in a new folder; return its path."""
    folder.mkdir(parents=True)
    path = folder / 'net.pth'
    return entry.make(path, copy.deepcopy(content)) or path


class Smuggled:
    """Pickles as a call of a function, or of another object."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def marker(path: Path) -> Path:
    """Return the file that a payload makes when it runs."""
    return path.parent.parent / 'executed'


def first_weight(content: Content) -> str:
    """Return the name of the first weight that every path loads."""
    return next(n for n in content['state_dict'] if n.endswith('.weight'))


def change_pickle(path: Path, change: Callable[[bytes], bytes]) -> None:
    """Change the pickle inside a file that torch wrote."""
    with zipfile.ZipFile(path) as file:
        records = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(path, 'w') as file:
        for name, data in records.items():
            data = change(data) if name.endswith('data.pkl') else data
            file.writestr(name, data)


def opcodes(*parts: Any) -> bytes:
    """Join opcodes, which are bytes, and pickled values."""

    def pickled(value: Any) -> bytes:
        stream = io.BytesIO()
        pickler = pickle.Pickler(stream, 2)
        pickler.fast = True  # the memo is that of the content
        pickler.dump(value)
        return stream.getvalue()[2:-1]

    return b''.join(
        part if type(part) is bytes else pickled(part) for part in parts
    )


def with_value(path: Path, content: Content, *parts: Any) -> None:
    """Write the content with one more value, put together by hand.

    Args:
        path: the file.
        content: the content, a dict.
        parts: opcodes and values, as in ``opcodes``.
    """
    content['smuggled'] = 'HERE'
    torch.save(content, path)
    here = pickle.dumps('HERE', 2)[2:-3]  # without its memo and the end

    def replace(data: bytes) -> bytes:
        assert data.count(here) == 1
        return data.replace(here, opcodes(*parts))

    change_pickle(path, replace)


def with_weight(
    path: Path,
    content: Content,
    *arguments: Any,
    rebuild: str = '_rebuild_tensor_v2',
    storage: tuple[Any, ...] | bytes | None = None,
) -> None:
    """Write the content with a weight that is rebuilt from given arguments.

    Args:
        path: the file.
        content: the content; its first weight is replaced.
        arguments: those that follow the storage.
        rebuild: the function of torch's that is called.
        storage: the persistent id, or opcodes for something else; by default
            16 bytes of float32.
    """
    torch.save(content, path)
    pid = (
        storage
        if storage is not None
        else ('storage', b'ctorch\nFloatStorage\n', 'extra', 'cpu', 4)
    )
    if not isinstance(pid, bytes):
        pid = opcodes(b'(', *pid, b'tQ')
    call = f'ctorch._utils\n{rebuild}\n'.encode()
    value = opcodes(call, b'(', pid, *arguments, b'tR')
    content['state_dict'][first_weight(content)] = 'HERE'
    torch.save(content, path)
    here = pickle.dumps('HERE', 2)[2:-3]
    change_pickle(path, lambda data: data.replace(here, value))
    with zipfile.ZipFile(path, 'a') as file:
        prefix = file.namelist()[0].partition('/')[0]
        file.writestr(f'{prefix}/data/extra', bytes(16))


HOOKS = b'ccollections\nOrderedDict\n)R'
