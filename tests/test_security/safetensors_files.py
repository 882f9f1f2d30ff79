"""Files of safetensors with headers that lie."""

import json
import struct
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from .corpus import DATA, Content, first_weight, register

malicious = register('malicious')
damaged = register('damaged')


def saved(path: Path, content: Content, suffix: str = '.safetensors') -> Path:
    path = path.with_suffix(suffix)
    weights = content['state_dict'].items()
    save_file({n: w.clone() for n, w in weights}, path)
    return path


def change(
    path: Path, content: Content, weight: str | None = None, **values: Any
) -> Path:
    """Write a file, and change the entry of a weight in its header."""
    path = saved(path, content)
    data = path.read_bytes()
    length = struct.unpack('<Q', data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    name = weight or first_weight(content)
    header.setdefault(name, {}).update(values)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack('<Q', len(text)) + text + data[8 + length :])
    return path


@malicious
def safetensors_offsets_outside(path: Path, content: Content) -> Path:
    return change(path, content, data_offsets=[0, 1 << 50])


@malicious
def safetensors_offsets_overlap(path: Path, content: Content) -> Path:
    return change(path, content, data_offsets=[0, 4], shape=[1])


@malicious
def safetensors_offsets_negative(path: Path, content: Content) -> Path:
    return change(path, content, data_offsets=[-8, 8])


@malicious
def safetensors_shape_too_large(path: Path, content: Content) -> Path:
    return change(path, content, shape=[1 << 62, 1 << 62])


@damaged
def safetensors_shape_too_small(path: Path, content: Content) -> Path:
    return change(path, content, shape=[1])


@damaged
def safetensors_type_unknown(path: Path, content: Content) -> Path:
    return change(path, content, dtype='F77')


@register('damaged', load_safely_itself=DATA)
def safetensors_type_int8(path: Path, content: Content) -> Path:
    name = first_weight(content)
    weight = content['state_dict'][name]
    content['state_dict'][name] = weight.to(torch.int8)
    return saved(path, content)


@register('damaged', load_safely_itself=DATA)
def safetensors_nan(path: Path, content: Content) -> Path:
    content['state_dict'][first_weight(content)].fill_(float('nan'))
    return saved(path, content)


@malicious
def safetensors_header_vast(path: Path, content: Content) -> Path:
    path = saved(path, content)
    path.write_bytes(struct.pack('<Q', 1 << 60) + path.read_bytes()[8:])
    return path


@malicious
def safetensors_header_nested(path: Path, content: Content) -> Path:
    path = path.with_suffix('.safetensors')
    text = b'[' * 100_000
    path.write_bytes(struct.pack('<Q', len(text)) + text)
    return path


@damaged
def safetensors_header_no_json(path: Path, content: Content) -> Path:
    path = path.with_suffix('.safetensors')
    path.write_bytes(struct.pack('<Q', 4) + b'\xff\xfe{}')
    return path


@damaged
def safetensors_cut_short(path: Path, content: Content) -> Path:
    path = saved(path, content)
    path.write_bytes(path.read_bytes()[:-10])
    return path


@damaged
def safetensors_empty(path: Path, content: Content) -> Path:
    path = path.with_suffix('.safetensors')
    path.touch()
    return path


@damaged
def safetensors_name_of_torch(path: Path, content: Content) -> Path:
    path = path.with_suffix('.safetensors')
    torch.save(content, path)
    return path


@damaged
def safetensors_named_pth(path: Path, content: Content) -> Path:
    return saved(path, content, '.pth')


@damaged
def safetensors_loop_of_links(path: Path, content: Content) -> Path:
    path = path.with_suffix('.safetensors')
    path.symlink_to(path.name)
    return path


@register('honest', resume='', weights_alone='')
def safetensors_honest(path: Path, content: Content) -> Path:
    return saved(path, content)
