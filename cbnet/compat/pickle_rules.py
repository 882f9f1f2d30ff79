"""What the pickle of a checkpoint may ask for, name by name.

torch's own list of safe names also has functions that allocate, cast or
call whatever a file tells them; here only those are left that honest files
of weights need, each with the arguments that it takes there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any

import torch

from .file_errors import FileFault
from .pickle_calls import CALLS, Ordered, is_count, require
from .pickle_scan import Made, Name, Table, scan
from .safe_globals import STAND_INS

# bytes of an element, by the names of torch's storage types
_ITEM_SIZES = dict(
    Double=8, Float=4, Half=2, BFloat16=2, Long=8, Int=4, Short=2, Char=1,
    Byte=1, Bool=1, ComplexDouble=16, ComplexFloat=8, Untyped=1,
)  # fmt: skip
_VALUES = (torch.dtype, torch.layout, torch.qscheme)
_CONSTANTS = {str(v) for v in vars(torch).values() if isinstance(v, _VALUES)}
_REBUILD = 'torch._utils._rebuild_'
# What torch could make, and no detector takes.
_UNWANTED = {
    f'{_REBUILD}sparse_tensor': 'a sparse tensor',
    f'{_REBUILD}qtensor': 'a quantised tensor',
    f'{_REBUILD}meta_tensor_no_storage': 'a tensor without data',
    f'{_REBUILD}device_tensor_from_numpy': 'a tensor of another device',
    f'{_REBUILD}device_tensor_from_cpu_tensor': 'a tensor of another device',
    f'{_REBUILD}wrapper_subclass': 'a tensor of another class',
    f'{_REBUILD}parameter_with_state': 'a parameter with attributes',
    'torch._tensor._rebuild_from_type_v2': 'a tensor with attributes',
}
# The arguments of a tensor, and the position of its dtype if it has one.
_TENSORS = {
    f'{_REBUILD}tensor': ((4,), None),
    f'{_REBUILD}tensor_v2': ((6, 7), None),
    f'{_REBUILD}tensor_v3': ((7, 8), 6),
}
_PARAMETER = 'torch.nn.parameter.Parameter'
# Members of a composite may share a tensor, and averages hold it again.
_FLAGS = {'conj', 'neg'}
_COPIES = 16
_SMALL = 64 << 20


@dataclass(frozen=True)
class Storage(Made):
    """A storage, with its number of bytes and the bytes of an element."""

    nbytes: int
    item: int


@dataclass(frozen=True)
class Tensor(Made):
    """A tensor; ``changes`` tells whether a state may follow."""

    changes: bool = False


class Rules:
    """The rules for the pickles of one file.

    Args:
        file_size: the number of bytes of the file.
        records: the bytes of each record that holds a storage; None if the
            file has no records.
    """

    def __init__(
        self, file_size: int, records: Mapping[str, int] | None = None
    ) -> None:
        self.records = records
        self.limit = _COPIES * file_size + _SMALL
        self.used = 0
        #: the bytes of each storage, by its key
        self.storages: dict[str, int] = {}

    def read(self, stream: IO[bytes]) -> Any:
        """Look through one pickle; return the description of its object."""
        return scan(stream, self._name, self._call, self._build, self._load)

    def _name(self, path: str) -> Name:
        kind = path.rpartition('.')[2].removesuffix('Storage')
        if (
            path in CALLS
            or path in _TENSORS
            or path in _UNWANTED
            or path in STAND_INS
            or path in _CONSTANTS
            or path in (_PARAMETER, f'{_REBUILD}parameter')
            or (path.startswith('torch.') and kind in _ITEM_SIZES)
        ):
            return Name(path)
        short = path.removeprefix('builtins.')
        raise FileFault(f'it asks for {short[:100]}', unsafe=True)

    def _call(self, path: str, arguments: tuple[Any, ...]) -> Any:
        if path in _UNWANTED:
            raise FileFault(
                f'it holds {_UNWANTED[path]}',
                'Save the weights as dense tensors, without anything else',
            )
        if path in _TENSORS:
            counts, place = _TENSORS[path]
            require(len(arguments) in counts, path)
            return self._tensor(*arguments[:4], arguments[4:], place)
        if path in (_PARAMETER, f'{_REBUILD}parameter'):
            require(bool(arguments) and type(arguments[0]) is Tensor, path)
            # Files from before torch 0.4 set the flags afterwards.
            return Tensor(changes=path == _PARAMETER)
        if path == 'yacs.config.CfgNode':
            return Ordered()
        if path in STAND_INS:
            return Made()  # the stand-in checks what it is given
        if path not in CALLS:
            raise FileFault(f'it calls {path[:100]}', unsafe=True)
        return CALLS[path](*arguments)

    def _tensor(
        self,
        storage: Any,
        offset: Any,
        size: Any,
        stride: Any,
        rest: tuple[Any, ...],
        place: int | None,
    ) -> Any:
        item = storage.item if type(storage) is Storage else 0
        if place is not None:
            dtype = rest[place - 4]
            require(type(dtype) is Name and dtype.path in _CONSTANTS, 'dtype')
            item = getattr(torch, dtype.path.removeprefix('torch.')).itemsize
        require(
            item > 0
            and type(size) is tuple
            and type(stride) is tuple
            and len(size) == len(stride) <= 64
            and all(is_count(n) for n in (offset, *size, *stride))
            and (not rest or type(rest[0]) is bool)
            and (len(rest) < 2 or type(rest[1]) in (Ordered, type(None)))
            and all(set(r.keys) <= _FLAGS for r in rest if type(r) is Table),
            'a tensor',
        )
        elements = 1
        for n in size:
            elements *= n
        last = offset + sum(
            (n - 1) * s for n, s in zip(size, stride, strict=True)
        )
        if elements and last >= storage.nbytes // item:
            raise FileFault(
                'a tensor reaches beyond the data that the file has for it'
            )
        self.used += elements * item
        if self.used > self.limit:
            raise FileFault(
                'its tensors would fill more than '
                f'{_COPIES} times the size of the file'
            )
        return Tensor()

    def _build(self, target: Any, state: Any) -> None:
        if type(target) is Ordered:
            require(type(state) is Table, 'the state of a dict')
            for key in state.keys:
                if type(key) is not str or hasattr(dict, key):
                    raise FileFault(
                        'it replaces a method of a dict', unsafe=True
                    )
        elif type(target) is not Made and target != Tensor(changes=True):
            raise FileFault('it changes an object that torch made')

    def _load(self, pid: Any) -> Storage:
        """Describe a storage; pid is (word, type, key, device, elements)."""
        require(
            type(pid) is tuple
            and len(pid) in (5, 6)
            and pid[0] == 'storage'
            and type(pid[1]) is Name
            and type(pid[2]) is str
            and type(pid[3]) is str
            and is_count(pid[4]),
            'the place of a tensor',
        )
        kind = pid[1].path.rpartition('.')[2].removesuffix('Storage')
        require(kind in _ITEM_SIZES, 'the type of a tensor')
        item = _ITEM_SIZES[kind]
        nbytes = pid[4] * item
        if self.records is not None:
            found = self.records.get(pid[2])
            if found is None:
                raise FileFault('the data of a tensor is missing')
            if nbytes > found:
                raise FileFault(
                    'a tensor reaches beyond the data that the file has for it'
                )
        self.storages[pid[2]] = nbytes
        return Storage(nbytes, item)
