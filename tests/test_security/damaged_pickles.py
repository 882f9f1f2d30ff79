"""Pickles with mistakes, and one with all that honest files hold."""

from argparse import Namespace
from collections import Counter, OrderedDict
from pathlib import Path

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

from .corpus import (
    HOOKS,
    Content,
    change_pickle,
    register,
    with_value,
)

CALL, BUILD, ONE = b'R', b'b', b'\x85'
ENCODE = b'c_codecs\nencode\n'
damaged = register('damaged')


@damaged
def state_is_a_number(path: Path, content: Content) -> None:
    with_value(path, content, HOOKS, 5, BUILD)


@damaged
def too_many_arguments(path: Path, content: Content) -> None:
    with_value(path, content, b'ccollections\nOrderedDict\n', (1, 2, 3), CALL)


@damaged
def reads_an_empty_stack(path: Path, content: Content) -> None:
    with_value(path, content, b'sss')


@damaged
def unknown_memo(path: Path, content: Content) -> None:
    with_value(path, content, b'j\x01\x02\x03\x04')


@damaged
def storage_id_is_a_number(path: Path, content: Content) -> None:
    with_value(path, content, 7, b'Q')


@damaged
def storage_id_is_short(path: Path, content: Content) -> None:
    with_value(path, content, ('storage', 'x'), b'Q')


@damaged
def storage_type_is_a_text(path: Path, content: Content) -> None:
    with_value(path, content, ('storage', 'x', '0', 'cpu', 4), b'Q')


@damaged
def text_that_is_not_utf_8(path: Path, content: Content) -> None:
    with_value(path, content, b'X\x02\x00\x00\x00\xff\xfe')


@damaged
def codec_that_does_not_exist(path: Path, content: Content) -> None:
    with_value(path, content, ENCODE, ('A', 'no such codec'), CALL)


@damaged
def layout_that_does_not_exist(path: Path, content: Content) -> None:
    with_value(
        path, content, b'ctorch.serialization\n_get_layout\n', ('x',), CALL
    )


@damaged
def device_that_does_not_exist(path: Path, content: Content) -> None:
    with_value(path, content, b'ctorch\ndevice\n', ('nowhere',), CALL)


@damaged
def pickle_cut_short(path: Path, content: Content) -> None:
    torch.save(content, path)
    change_pickle(path, lambda data: data[: len(data) // 2])


@damaged
def pickle_is_empty(path: Path, content: Content) -> None:
    torch.save(content, path)
    change_pickle(path, lambda data: b'')


@damaged
def pickle_of_protocol_4(path: Path, content: Content) -> None:
    torch.save(content, path, pickle_protocol=4)


honest = register('honest')


@honest
def ordinary_objects(path: Path, content: Content) -> None:
    """What honest files hold beside tensors."""
    content['more'] = dict(
        args=Namespace(lr=0.1, nested=Namespace(arch='resnet')),
        counter=Counter('aab'),
        names={'a', 'b'},
        order=OrderedDict(a=1),
        raw=b'\xff\x00',
        empty=b'',
        buffer=bytearray(b'abc'),
        size=torch.Size([1, 2]),
        dtype=torch.float16,
        device=torch.device('cpu'),
        number=1j,
        large=1 << 100,
        array=np.arange(6, dtype='>i2').reshape(3, 2).T,
        scalar=np.float32(0.5),
        history=HistoryBuffer([1.0], [1]),
        path={1: 'a', None: 'b', (1, 'a'): 'c', 0.5: 'd'},
    )
    torch.save(content, path)
