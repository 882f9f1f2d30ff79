"""Check a file of weights before torch or safetensors reads it.

Every file passes through here.  torch's safe loading does not call what a
file asks for, but it believes the sizes that the file gives: the checks here
bound the memory and the time that reading can take by the size of the file.
"""

import errno
import io
import os
import stat
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import torch
from torch import load as torch_load

from ..errors import MissingFileError, UserFileError
from ..messages import listed, shortened
from .file_errors import FileFault, reading
from .pickle_rules import Rules
from .pickle_scan import LimitedStream
from .safe_numpy import arrays_to_tensors

_ZIP = b'PK\x03\x04'
_ENCRYPTED = 1
_PICKLES_BEFORE = 3  # in torch's former format: two numbers and a dict
_REPACK = 'Unpack it and give the checkpoint inside'


def require_readable(
    path: str | os.PathLike[str], name: str | None = None
) -> None:
    """Refuse what is not an ordinary file, before it is opened.

    Opening a pipe waits for its writer, and a device has no end.

    Args:
        path: the file.
        name: its name in errors, by default the path.

    Raises:
        FileNotFoundError: there is no such file.
        UserFileError: it is a folder, a pipe, or a loop of links.
    """
    shown = name or shortened(os.fspath(path), 300)
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:
        absent = (errno.ENOENT, errno.ENOTDIR)
        if getattr(error, 'errno', None) in absent:
            raise MissingFileError(
                f'{shown}: there is no such file; relative paths start at '
                f'the current folder, {Path.cwd()}'
            ) from None
        reason = getattr(error, 'strerror', None) or error
        raise UserFileError(f'{shown} cannot be read: {reason}') from None
    if not stat.S_ISREG(mode):
        kind = 'a folder' if stat.S_ISDIR(mode) else 'a pipe or a device'
        raise UserFileError(f'{shown} is {kind}; give a file of weights')


def load_checked(
    file: str | os.PathLike[str] | IO[bytes],
    map_location: Any,
) -> Any:
    """Read a file after checking it.

    Args:
        file: the path of a file of torch's or of safetensors', or a stream.
        map_location: the device of the tensors, as for ``torch.load``.

    Raises:
        FileFault: the file is damaged, or asks for more than data.
        UserFileError, FileNotFoundError: there is no file to read.
    """
    if isinstance(file, str | os.PathLike):
        require_readable(file)
        if os.fspath(file).endswith('.safetensors'):
            return _load_safetensors(file, map_location)
        with open(file, 'rb') as stream:
            check_stream(stream)
    else:
        check_stream(file)
    with reading():
        return arrays_to_tensors(
            torch_load(file, map_location=map_location, weights_only=True)
        )


def _load_safetensors(
    path: str | os.PathLike[str], map_location: Any
) -> dict[str, torch.Tensor]:
    # safetensors checks every offset and the length of its header itself.
    from safetensors.torch import load_file

    with reading():
        device = map_location
        if not isinstance(device, str | torch.device):
            device = 'cpu'
        return load_file(path, device=str(device))


def check_stream(stream: IO[bytes]) -> None:
    """Check the content of a file in one of torch's two formats.

    The stream is left where it was.

    Raises:
        FileFault: torch would fail, would need more memory than a few times
            the size of the file, or would be asked for more than data.
    """
    start = stream.tell()
    size = stream.seek(0, io.SEEK_END) - start
    stream.seek(start)
    beginning = stream.read(16)
    stream.seek(start)
    with reading():
        if beginning.startswith(_ZIP):
            _check_archive(stream, size)
        else:
            if beginning[8:9] == b'{':
                raise FileFault(
                    'this is a file of safetensors',
                    'Give it a name that ends in .safetensors',
                )
            _check_former(stream, size)
    stream.seek(start)


def open_archive(file: Any) -> zipfile.ZipFile:
    """Open a zip, given as a path or a stream.

    Raises:
        FileFault: it has a name twice, so that readers may differ in what
            they read, or it is encrypted.
        zipfile.BadZipFile: the file is cut short.
    """
    archive = zipfile.ZipFile(file)
    members = archive.infolist()
    for member in members:
        if not member.CRC:  # torch.serialization.set_crc32_options(False)
            member.CRC = None
    names = {member.filename.lower() for member in members}
    if len(names) < len(members):
        raise FileFault('the zip holds two members of one name')
    if any(_leads_away(member.filename) for member in members):
        raise FileFault('the zip has a member outside of its own folder')
    if any(member.flag_bits & _ENCRYPTED for member in members):
        raise FileFault('the zip is encrypted', 'Unpack it with its password')
    return archive


def _leads_away(name: str) -> bool:
    return name.startswith('/') or '..' in name.split('/')


def _check_archive(stream: IO[bytes], size: int) -> None:
    archive = open_archive(stream)
    members = archive.infolist()
    names = [member.filename for member in members]
    prefix = names[0].partition('/')[0] if names else ''
    if f'{prefix}/data.pkl' not in names:
        raise FileFault(
            f'this is a zip that torch did not write (it holds '
            f'{shortened(listed(names), 200) or "nothing"})',
            _REPACK,
        )
    if f'{prefix}/constants.pkl' in names:
        raise FileFault('it is a TorchScript archive, a program', unsafe=True)
    if archive.comment or members[0].header_offset:
        raise FileFault('the file is more than one archive')
    if any(member.compress_type for member in members):
        raise FileFault(
            'its records are compressed, which torch never does',
            'Pack it again without compression (zip -0)',
        )
    if sum(member.file_size for member in members) > size:
        raise FileFault('its records would be larger than the file')
    _check_sums(archive)
    start = f'{prefix}/data/'
    records = {
        member.filename.removeprefix(start): member.file_size
        for member in members
        if member.filename.startswith(start)
    }
    pickled = io.BytesIO(archive.read(f'{prefix}/data.pkl'))
    Rules(size, records).read(pickled)


def _check_sums(archive: zipfile.ZipFile) -> None:
    """Read everything once, because torch does not compare checksums.

    Raises:
        zipfile.BadZipFile: a record has changed since it was written.
    """
    for member in archive.infolist():
        with archive.open(member) as record:
            while record.read(1 << 20):
                pass


def _check_former(stream: IO[bytes], size: int) -> None:
    """Check torch's format from before 1.6: pickles, then the storages."""
    rules = Rules(size)
    start = stream.tell()
    for _ in range(_PICKLES_BEFORE + 1):
        rules.read(LimitedStream(stream))
    keys = rules.read(LimitedStream(stream))
    left = size - (stream.tell() - start)
    known: Sequence[Any] = keys if type(keys) is list else [None]
    if not all(type(k) is str and k in rules.storages for k in known):
        raise FileFault('its list of tensors is damaged')
    # Each storage follows its number of elements, which takes 8 bytes.
    if sum(rules.storages[k] + 8 for k in known) > left:
        raise FileFault('it is cut short: the data of its tensors is missing')
    if len(known) < len(rules.storages):
        raise FileFault('the data of a tensor is missing')
