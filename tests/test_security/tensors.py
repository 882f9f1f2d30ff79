"""Tensors that do not lie in what the file holds."""

import struct
from pathlib import Path

import torch

from .corpus import (
    HOOKS,
    Content,
    first_weight,
    opcodes,
    register,
    with_value,
    with_weight,
)

malicious = register('malicious')
damaged = register('damaged')
FLOATS = b'ctorch\nFloatStorage\n'


def storage(count: object) -> tuple[object, ...]:
    return ('storage', FLOATS, 'extra', 'cpu', count)


@malicious
def storage_larger_than_its_record(path: Path, content: Content) -> None:
    with_weight(
        path, content, 0, (400,), (1,), False, HOOKS, storage=storage(400)
    )


@malicious
def storage_of_many_petabytes(path: Path, content: Content) -> None:
    with_weight(
        path, content, 0, (4,), (1,), False, HOOKS, storage=storage(1 << 55)
    )


@malicious
def storage_of_a_negative_size(path: Path, content: Content) -> None:
    with_weight(
        path, content, 0, (4,), (1,), False, HOOKS, storage=storage(-4)
    )


@damaged
def storage_of_a_text_size(path: Path, content: Content) -> None:
    with_weight(
        path, content, 0, (4,), (1,), False, HOOKS, storage=storage('4')
    )


@malicious
def begins_behind_its_storage(path: Path, content: Content) -> None:
    with_weight(path, content, 3, (4,), (1,), False, HOOKS)


@malicious
def begins_far_behind_its_storage(path: Path, content: Content) -> None:
    with_weight(path, content, 1 << 62, (4,), (1,), False, HOOKS)


@malicious
def begins_before_its_storage(path: Path, content: Content) -> None:
    with_weight(path, content, -4, (4,), (1,), False, HOOKS)


@malicious
def negative_stride(path: Path, content: Content) -> None:
    with_weight(path, content, 3, (4,), (-1,), False, HOOKS)


@malicious
def absurd_stride(path: Path, content: Content) -> None:
    with_weight(path, content, 0, (2, 2), (1 << 61, 1), False, HOOKS)


@malicious
def negative_size(path: Path, content: Content) -> None:
    with_weight(path, content, 0, (-4,), (1,), False, HOOKS)


@malicious
def size_that_overflows(path: Path, content: Content) -> None:
    with_weight(path, content, 0, (1 << 62, 4), (4, 1), False, HOOKS)


@malicious
def repeated_to_a_terabyte(path: Path, content: Content) -> None:
    """A stride of 0 is allowed; the first copy would take all memory."""
    with_weight(path, content, 0, (1 << 38,), (0,), False, HOOKS)


@malicious
def many_views_of_one_storage(path: Path, content: Content) -> None:
    big = torch.zeros(1 << 18)
    for number in range(3000):
        content['state_dict'][f'view.{number}.weight'] = big[:]
    torch.save(content, path)


@damaged
def more_sizes_than_strides(path: Path, content: Content) -> None:
    with_weight(path, content, 0, (2, 2), (1,), False, HOOKS)


@damaged
def sizes_are_texts(path: Path, content: Content) -> None:
    with_weight(path, content, 0, ('4',), (1,), False, HOOKS)


@damaged
def sizes_are_floats(path: Path, content: Content) -> None:
    with_weight(path, content, 0, (4.0,), (1,), False, HOOKS)


@damaged
def no_sizes(path: Path, content: Content) -> None:
    with_weight(path, content)


@damaged
def storage_is_a_list(path: Path, content: Content) -> None:
    with_weight(path, content, 0, (4,), (1,), False, HOOKS, storage=b']')


@damaged
def gradient_flag_is_a_text(path: Path, content: Content) -> None:
    with_weight(path, content, 0, (4,), (1,), 'no', HOOKS)


@damaged
def hooks_are_a_list(path: Path, content: Content) -> None:
    with_weight(path, content, 0, (4,), (1,), False, [1])


@malicious
def metadata_is_unknown(path: Path, content: Content) -> None:
    with_weight(path, content, 0, (4,), (1,), False, HOOKS, {'x': True})


@malicious
def sparse_with_wrong_indices(path: Path, content: Content) -> None:
    name = first_weight(content)
    content['state_dict'][name] = torch.sparse_coo_tensor(
        [[0, 99]], [1.0, 2.0], (4,), check_invariants=False
    )
    torch.save(content, path)


@malicious
def sparse_of_a_terabyte(path: Path, content: Content) -> None:
    content['state_dict'][first_weight(content)] = torch.sparse_coo_tensor(
        [[0, 1]], [1.0, 2.0], (1 << 38,)
    )
    torch.save(content, path)


@damaged
def sparse_weight(path: Path, content: Content) -> None:
    name = first_weight(content)
    content['state_dict'][name] = content['state_dict'][name].to_sparse()
    torch.save(content, path)


@damaged
def quantised_weight(path: Path, content: Content) -> None:
    name = first_weight(content)
    content['state_dict'][name] = torch.quantize_per_tensor(
        content['state_dict'][name], 0.1, 0, torch.qint8
    )
    torch.save(content, path)


@damaged
def weight_without_data(path: Path, content: Content) -> None:
    name = first_weight(content)
    content['state_dict'][name] = content['state_dict'][name].to('meta')
    torch.save(content, path)


def former(path: Path, content: Content, count: int) -> None:
    """Write the former format with the number of elements of a storage."""
    name = first_weight(content)
    content['state_dict'] = {name: torch.zeros(77_777)}
    torch.save(content, path, _use_new_zipfile_serialization=False)
    data = path.read_bytes()
    said = opcodes(77_777)
    assert data.count(said) > 0
    size = struct.pack('<q', 77_777)
    data = data.replace(said, opcodes(count))
    path.write_bytes(data.replace(size, struct.pack('<q', count)))


@malicious
def former_format_of_a_terabyte(path: Path, content: Content) -> None:
    former(path, content, 1 << 38)


@malicious
def former_format_of_a_gigabyte(path: Path, content: Content) -> None:
    former(path, content, 1 << 28)


@malicious
def former_format_of_a_negative_size(path: Path, content: Content) -> None:
    former(path, content, -5)


@malicious
def casts_to_sixteen_times_its_size(path: Path, content: Content) -> None:
    call = opcodes(
        b'ctorch._utils\n_rebuild_device_tensor_from_cpu_tensor\n', b'(',
        b'ctorch._utils\n_rebuild_tensor_v2\n', b'(',
        b'(', 'storage', FLOATS, 'none', 'cpu', 0, b'tQ',
        0, (0,), (1,), False, HOOKS, b'tR',
        b'ctorch\ncomplex128\n', 'cpu', False, b'tR',
    )  # fmt: skip
    with_value(path, content, call)


honest = register('honest')


@honest
def a_parameter(path: Path, content: Content) -> None:
    name = first_weight(content)
    weight = content['state_dict'][name]
    content['state_dict'][name] = torch.nn.Parameter(weight)
    torch.save(content, path)


@honest
def a_transposed_view(path: Path, content: Content) -> None:
    content['more'] = torch.zeros(9, 8)[2:5, ::2].T
    torch.save(content, path)


@honest
def a_shared_weight(path: Path, content: Content) -> None:
    content['ema'] = content['state_dict'] | {}
    torch.save(content, path)


@honest
def a_repeated_value(path: Path, content: Content) -> None:
    content['more'] = torch.ones(1).expand(100)
    torch.save(content, path)


@honest
def half_precision(path: Path, content: Content) -> None:
    content['state_dict'] = {
        n: w.bfloat16() if w.is_floating_point() else w
        for n, w in content['state_dict'].items()
    }
    torch.save(content, path)


@honest
def every_type(path: Path, content: Content) -> None:
    names = ('float64', 'float16', 'float8_e4m3fn', 'uint16', 'int16', 'bool')
    content['more'] = [
        torch.ones(2, 3).to(getattr(torch, name)) for name in names
    ]
    torch.save(content, path)


@honest
def empty_tensors(path: Path, content: Content) -> None:
    content['more'] = [torch.zeros(0), torch.zeros(3, 0, 2), torch.zeros(())]
    torch.save(content, path)
