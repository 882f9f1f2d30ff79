"""Pickles that call, reach or exhaust what a checkpoint must not."""

import io
import os
import pickle
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

from .corpus import (
    DATA,
    HOOKS,
    Content,
    Smuggled,
    change_pickle,
    marker,
    opcodes,
    register,
    with_value,
    with_weight,
)

malicious = register('malicious')
ENCODE = b'c_codecs\nencode\n'
NEW, CALL, BUILD, DICT, ITEM, TUPLE, MARK, ONE, TWO = (
    b')\x81', b'R', b'b', b'}', b's', b't', b'(', b'\x85', b'\x86',
)  # fmt: skip
ARRAY, DTYPE = b'cnumpy\nndarray\n', b'cnumpy\ndtype\n'


def nested(depth: int) -> bytes:
    """Tuples of one tuple, twice: few bytes, 2 ** depth in a repr or hash."""
    return b')' + b'r\xc0\xc0\0\0j\xc0\xc0\0\0\x86' * depth


@malicious
def calls_mkdir(path: Path, content: Content) -> None:
    content['meta'] = Smuggled(os.mkdir, str(marker(path)))
    torch.save(content, path)


@malicious
def calls_open_as_a_weight(path: Path, content: Content) -> None:
    name = next(iter(content['state_dict']))
    content['state_dict'][name] = Smuggled(io.open, str(marker(path)), 'w')
    torch.save(content, path)


@malicious
def calls_open_in_the_former_format(path: Path, content: Content) -> None:
    content['meta'] = Smuggled(io.open, str(marker(path)), 'w')
    torch.save(content, path, _use_new_zipfile_serialization=False)


@malicious
def calls_open_in_a_plain_pickle(path: Path, content: Content) -> None:
    content['meta'] = Smuggled(io.open, str(marker(path)), 'w')
    path.write_bytes(pickle.dumps(content['meta']))


@malicious
def calls_open_in_the_preamble(path: Path, content: Content) -> None:
    """The former format begins with pickles of a number and a version."""
    torch.save(content, path, _use_new_zipfile_serialization=False)
    call = pickle.dumps(Smuggled(io.open, str(marker(path)), 'w'), 2)
    path.write_bytes(call + path.read_bytes())


@malicious
def calls_eval(path: Path, content: Content) -> None:
    content['meta'] = Smuggled(eval, f"open({str(marker(path))!r}, 'w')")
    torch.save(content, path)


@malicious
def names_a_function_of_protocol_4(path: Path, content: Content) -> None:
    torch.save(content, path)
    call = Smuggled(io.open, str(marker(path)), 'w')
    change_pickle(path, lambda data: pickle.dumps(call, 4))


@malicious
def getattr_of_init(path: Path, content: Content) -> None:
    content['meta'] = Smuggled(getattr, HistoryBuffer, '__init__')
    torch.save(content, path)


@malicious
def getattr_of_globals(path: Path, content: Content) -> None:
    reached = Smuggled(getattr, HistoryBuffer, 'mean')
    content['meta'] = Smuggled(getattr, reached, '__globals__')
    torch.save(content, path)


@malicious
def array_of_objects(path: Path, content: Content) -> None:
    call = Smuggled(os.mkdir, str(marker(path)))
    content['meta']['x'] = np.array([call])
    torch.save(content, path)


@malicious
def array_of_addresses(path: Path, content: Content) -> None:
    content['meta']['x'] = Smuggled(np.ndarray, (1,), 'O', b'A' * 8)
    torch.save(content, path)


@malicious
def array_with_a_forged_type(path: Path, content: Content) -> None:
    forged = (3, '|', None, None, None, -1, -1, 0)
    with_value(
        path, content, b'cnumpy.core.multiarray\n_reconstruct\n', ARRAY,
        (0,), 'b', b'\x87', CALL, MARK, 1, (1,),
        DTYPE, ('O', False, True), CALL, forged, BUILD,
        False, 'A' * 8, TUPLE, BUILD,
    )  # fmt: skip


@malicious
def array_of_many_empty_texts(path: Path, content: Content) -> None:
    with_value(
        path, content, b'cnumpy.core.multiarray\n_reconstruct\n', ARRAY,
        (0,), 'b', b'\x87', CALL, MARK, 1, (1 << 40,),
        DTYPE, ('U0', False, True), CALL,
        (3, '<', None, None, None, -1, -1, 0), BUILD,
        False, ENCODE, ('', 'latin1'), CALL, TUPLE, BUILD,
    )  # fmt: skip


@malicious
def scalar_of_an_address(path: Path, content: Content) -> None:
    with_value(
        path, content, b'cnumpy.core.multiarray\nscalar\n',
        DTYPE, ('O', False, True), CALL, ENCODE, ('A' * 8, 'latin1'), CALL,
        TWO, CALL,
    )  # fmt: skip


@malicious
def namespace_that_is_called(path: Path, content: Content) -> None:
    with_value(
        path, content, b'cargparse\nNamespace\n', NEW,
        DICT, '__setstate__', b'cbuiltins\nbytes\n', ITEM, BUILD,
        {'x': 1}, BUILD,
    )  # fmt: skip


@malicious
def history_with_other_methods(path: Path, content: Content) -> None:
    with_value(
        path, content, b'cmmengine.logging.history_buffer\nHistoryBuffer\n',
        NEW, DICT, 'statistics_methods',
        DICT, 'mean', b'cbuiltins\nbytes\n', ITEM, ITEM, BUILD,
    )  # fmt: skip


@malicious
def unknown_class(path: Path, content: Content) -> None:
    content['meta'] = SimpleNamespace(x=1)
    torch.save(content, path)


@malicious
def vast_repr(path: Path, content: Content) -> None:
    """A few hundred bytes whose repr would be 2 ** 60 characters long."""
    with_value(path, content, DTYPE, nested(60), ONE, CALL)


@malicious
def vast_hash(path: Path, content: Content) -> None:
    """A key whose hash takes 2 ** 60 steps."""
    with_value(path, content, DICT, nested(60), 1, ITEM)


@malicious
def vast_hash_in_a_set(path: Path, content: Content) -> None:
    with_value(
        path, content, b'cbuiltins\nset\n', b']', nested(60), b'a', ONE, CALL
    )


@malicious
def vast_hash_in_a_counter(path: Path, content: Content) -> None:
    with_value(
        path, content, b'ccollections\nCounter\n', b']', nested(60), b'a',
        ONE, CALL,
    )  # fmt: skip


@malicious
def text_that_doubles(path: Path, content: Content) -> None:
    """Each ``hex`` doubles the bytes: 2 ** 45 of them."""
    value = opcodes(ENCODE, ('A', 'latin1'), CALL)
    for _ in range(45):
        value = opcodes(ENCODE, value, 'hex', TWO, CALL)
    with_value(path, content, value)


@malicious
def bytearray_of_a_terabyte(path: Path, content: Content) -> None:
    with_value(path, content, b'cbuiltins\nbytearray\n', 1 << 40, ONE, CALL)


@malicious
def tensor_class_of_a_terabyte(path: Path, content: Content) -> None:
    with_value(path, content, b'ctorch\nFloatTensor\n', 1 << 38, ONE, CALL)


@malicious
def tensor_class_of_a_gigabyte_often(path: Path, content: Content) -> None:
    """Each one alone would fit into the memory of many machines."""
    one = opcodes(b'ctorch\nByteTensor\n', 1 << 30, ONE, CALL)
    with_value(path, content, b'](', one * 40, b'e')


@malicious
def storage_of_a_terabyte(path: Path, content: Content) -> None:
    with_value(
        path, content, b'ctorch.storage\nUntypedStorage\n', 1 << 40, ONE, CALL
    )


@malicious
def quantised_of_a_terabyte(path: Path, content: Content) -> None:
    quantizer = opcodes(b'ctorch\nper_tensor_affine\n', 1.0, 0, b'\x87')
    with_weight(
        path, content, 0, (1 << 40,), (1,), quantizer, False, HOOKS,
        rebuild='_rebuild_qtensor',
        storage=('storage', b'ctorch\nQInt8Storage\n', 'extra', 'cpu', 16),
    )  # fmt: skip


@malicious
def wrapper_without_a_tensor(path: Path, content: Content) -> None:
    with_weight(
        path, content, b'ctorch\nfloat32\n', (1 << 40,), (1,), 0,
        b'ctorch.serialization\n_get_layout\n', 'torch.strided', ONE, CALL,
        'cpu', False,
        rebuild='_rebuild_wrapper_subclass', storage=b'ctorch\nTensor\n',
    )  # fmt: skip


@malicious
def tensor_with_attributes(path: Path, content: Content) -> None:
    name = next(iter(content['state_dict']))
    weight = torch.nn.Parameter(content['state_dict'][name].float())
    weight.grad_fn_of_mine = 1
    content['state_dict'][name] = weight
    torch.save(content, path)


@malicious
def type_that_calls_another(path: Path, content: Content) -> None:
    """``_rebuild_from_type_v2`` calls whatever it is given."""
    with_value(
        path, content, b'ctorch._tensor\n_rebuild_from_type_v2\n', MARK,
        b'cbuiltins\nbytearray\n', b'ctorch\nTensor\n', (1 << 40,),
        DICT, TUPLE, CALL,
    )  # fmt: skip


@register(
    'malicious',
    everywhere='the numbers of the memo are keys of a dict, in torch and here',
)
def vast_memo(path: Path, content: Content) -> None:
    """The memo of Python's own unpickler would take 64 GiB."""
    with_value(path, content, 1, b'r\xff\xff\xff\xff')


@register('malicious', load_safely_itself=DATA)
def deep_nesting(path: Path, content: Content) -> None:
    with_value(path, content, b']' * 20_000, b'a' * 19_999)


@register('malicious', load_safely_itself=DATA)
def contains_itself(path: Path, content: Content) -> None:
    content['meta']['x'] = content
    torch.save(content, path)


@malicious
def sets_attributes_of_a_dict(path: Path, content: Content) -> None:
    """Such a state is copied into the dict's ``__dict__``."""
    with_value(path, content, HOOKS, {'get': 1, 'items': 2}, BUILD)
