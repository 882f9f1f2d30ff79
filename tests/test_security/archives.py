"""Zip archives that lie about what they hold, and places on the disk."""

import io
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path

import torch

from .corpus import Content, Smuggled, marker, register

malicious = register('malicious')
damaged = register('damaged')
CONVERTERS = ('published_to_cbnet', 'replicate_members', 'average_checkpoints')
UNPACKED = 'converters read a zip of one checkpoint, as the authors publish'


def saved(content: Content) -> bytes:
    """Return the file that torch writes."""
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


def records(content: Content) -> dict[str, bytes]:
    """Return the records of the archive that torch writes."""
    with zipfile.ZipFile(io.BytesIO(saved(content))) as file:
        return {name: file.read(name) for name in file.namelist()}


def pack(path: Path, members: dict[str, bytes], method: int = 0) -> None:
    with zipfile.ZipFile(path, 'w', method) as file:
        for name, data in members.items():
            file.writestr(name, data)


@register('damaged', **dict.fromkeys(CONVERTERS, UNPACKED))
def zipped_checkpoint(path: Path, content: Content) -> None:
    """A likely mistake: the archive that was downloaded."""
    pack(path, {'folder/inner.pth': saved(content)}, zipfile.ZIP_DEFLATED)


@damaged
def zipped_twice(path: Path, content: Content) -> None:
    inner = io.BytesIO()
    pack(inner, {'inner.pth': saved(content)})
    pack(path, {'outer.pth': inner.getvalue()})


@damaged
def zip_of_two_checkpoints(path: Path, content: Content) -> None:
    pack(path, dict.fromkeys(('a.pth', 'b.pth'), saved(content)))


@malicious
def zipped_call(path: Path, content: Content) -> None:
    content['meta'] = Smuggled(io.open, str(marker(path)), 'w')
    pack(path, {'inner.pth': saved(content)})


@malicious
def zip_that_leaves_its_folder(path: Path, content: Content) -> None:
    pack(path, {f'../../{marker(path).name}.pth': saved(content)})


@malicious
def zip_with_an_absolute_name(path: Path, content: Content) -> None:
    pack(path, {f'{marker(path)}.pth': saved(content)})


@malicious
def zip_with_a_link(path: Path, content: Content) -> None:
    link = zipfile.ZipInfo('inner.pth')
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, 'w') as file:
        file.writestr(link, '/etc/hostname')


@malicious
def zip_bomb(path: Path, content: Content) -> None:
    """Zeros, a thousand times what the file takes."""
    with (
        zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED, compresslevel=1) as z,
        z.open('inner.pth', 'w') as inner,
    ):
        for _ in range(16):
            inner.write(bytes(1 << 20))


@malicious
def zip_that_says_a_terabyte(path: Path, content: Content) -> None:
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as file:
        file.writestr('inner.pth', bytes(1 << 20))
        file.filelist[0].file_size = 1 << 40


@malicious
def record_that_is_a_bomb(path: Path, content: Content) -> None:
    parts = records(content)
    name = next(n for n in parts if '/data/' in n)
    parts[name] = bytes(8 << 20)
    pack(path, parts, zipfile.ZIP_DEFLATED)


@malicious
def pickle_that_is_a_bomb(path: Path, content: Content) -> None:
    parts = records(content)
    name = next(n for n in parts if n.endswith('data.pkl'))
    parts[name] = b'\x80\x02' + b'N0' * (4 << 20) + b'N.'
    pack(path, parts, zipfile.ZIP_DEFLATED)


@malicious
def records_that_overlap(path: Path, content: Content) -> None:
    """A thousand names of one megabyte."""
    with zipfile.ZipFile(path, 'w') as file:
        for name, data in records(content).items():
            file.writestr(name, data)
        file.writestr('archive/data/big', bytes(1 << 20))
        first = file.filelist[-1]
        for number in range(1000):
            again = zipfile.ZipInfo(f'archive/data/big{number}')
            for key in ('header_offset', 'file_size', 'compress_size', 'CRC'):
                setattr(again, key, getattr(first, key))
            file.filelist.append(again)


@malicious
def two_records_of_one_name(path: Path, content: Content) -> None:
    parts = records(content)
    name = next(n for n in parts if n.endswith('data.pkl'))
    with zipfile.ZipFile(path, 'w') as file:
        for key, data in parts.items():
            file.writestr(key, data)
        file.writestr(name.upper(), parts[name])


@malicious
def two_archives_in_one_file(path: Path, content: Content) -> None:
    """Which one is read depends on the reader."""
    path.write_bytes(saved(content) + saved(content))


@malicious
def archive_with_a_comment(path: Path, content: Content) -> None:
    """A comment can hold a second table of contents."""
    path.write_bytes(saved(content))
    with zipfile.ZipFile(path, 'a') as file:
        file.comment = b'PK\x05\x06' + bytes(18)


@damaged
def encrypted_record(path: Path, content: Content) -> None:
    data = bytearray(saved(content))
    start = data.rindex(b'PK\x01\x02')
    data[start + 8] |= 1
    path.write_bytes(data)


@damaged
def encrypted_zip(path: Path, content: Content) -> None:
    pack(path, {'inner.pth': saved(content)})
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.rindex(b'PK\x01\x02') + 8] |= 1
    path.write_bytes(data)


@damaged
def unknown_compression(path: Path, content: Content) -> None:
    pack(path, {'inner.pth': saved(content)})
    data = bytearray(path.read_bytes())
    data[8:10] = data[data.rindex(b'PK\x01\x02') + 10 :][:2] = b'\x63\0'
    start = data.rindex(b'PK\x01\x02') + 10
    data[start : start + 2] = b'\x63\0'
    path.write_bytes(data)


@damaged
def zip_without_a_checkpoint(path: Path, content: Content) -> None:
    pack(path, {'readme.txt': b'nothing'})


@damaged
def zip_without_members(path: Path, content: Content) -> None:
    pack(path, {})


@damaged
def record_is_missing(path: Path, content: Content) -> None:
    parts = records(content)
    name = next(n for n in parts if '/data/' in n)
    pack(path, {n: data for n, data in parts.items() if n != name})


@damaged
def record_is_short(path: Path, content: Content) -> None:
    parts = records(content)
    name = max(parts, key=lambda n: len(parts[n]) * ('/data/' in n))
    pack(path, parts | {name: parts[name][:-4]})


@damaged
def record_has_other_bytes(path: Path, content: Content) -> None:
    """Its checksum tells."""
    parts = records(content)
    name = max(parts, key=lambda n: len(parts[n]) * ('/data/' in n))
    data = bytearray(saved(content))
    place = data.index(parts[name][:64])
    data[place + 8 : place + 16] = b'\xff' * 8
    path.write_bytes(data)


@damaged
def byte_order_is_unknown(path: Path, content: Content) -> None:
    parts = records(content)
    name = next(n for n in parts if n.endswith('byteorder'))
    pack(path, parts | {name: b'\xff\xfe'})


@damaged
def version_is_from_the_future(path: Path, content: Content) -> None:
    parts = records(content)
    name = next(n for n in parts if n.endswith('/version'))
    pack(path, parts | {name: b'999\n'})


@damaged
def alignment_is_a_text(path: Path, content: Content) -> None:
    parts = records(content)
    prefix = next(iter(parts)).partition('/')[0]
    pack(path, parts | {f'{prefix}/.storage_alignment': b'wide'})


@damaged
def cut_short(path: Path, content: Content) -> None:
    path.write_bytes(saved(content)[:-100])


@damaged
def begins_like_a_zip(path: Path, content: Content) -> None:
    path.write_bytes(b'PK\x03\x04' + bytes(100))


@damaged
def table_points_outside(path: Path, content: Content) -> None:
    pack(path, records(content))
    data = path.read_bytes()
    end = data.rindex(b'PK\x05\x06')
    path.write_bytes(
        data[: end + 12] + struct.pack('<II', 1 << 30, 1 << 30) + b'\0\0'
    )


@damaged
def former_format_cut_short(path: Path, content: Content) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:-100])


@damaged
def former_format_cut_in_its_pickle(path: Path, content: Content) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:300])


@malicious
def torchscript(path: Path, content: Content) -> None:
    traced = torch.jit.trace(torch.nn.ReLU(), torch.ones(1))
    torch.jit.save(traced, path)


@malicious
def former_tar(path: Path, content: Content) -> None:
    call = pickle.dumps(Smuggled(io.open, str(marker(path)), 'w'), 2)
    with tarfile.open(path, 'w') as file:
        for name in ('storages', 'tensors', 'pickle'):
            info = tarfile.TarInfo(name)
            info.size = len(call)
            file.addfile(info, io.BytesIO(call))


@register('honest')
def former_format(path: Path, content: Content) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=False)


@register('honest')
def without_checksums(path: Path, content: Content) -> None:
    """An option of torch's; it writes 0 for each."""
    torch.serialization.set_crc32_options(False)
    torch.save(content, path)
    torch.serialization.set_crc32_options(True)
