"""Read files of weights, zipped ones too, and write the results."""

import logging
import os
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor

from ..atomic_files import whole_file
from ..compat.checked_content import check_content
from ..compat.checked_files import open_archive
from ..compat.file_errors import FileFault, clear_errors, reading
from ..compat.safe_loading import load_safely
from ..errors import MissingFileError, UserValueError
from ..messages import listed, shortened
from ..version import __version__
from .fingerprint import Recorded, changes, read_fingerprint, with_fingerprint
from .local_files import require_checkpoint

# A published file shrinks by a tenth; a bomb shrinks to a thousandth.
_MOST_UNPACKED = 100


def read_file(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a ``.pth`` file, or a zip file that contains one.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: the file is cut short, or is or contains no checkpoint.
        UnsafeCheckpointError: the file asks for more than data.
        BrokenCheckpointError: the file cannot be read to its end, or holds
            something that no checkpoint holds.
    """
    path = Path(path)
    if ':' in str(path) and not path.exists():  # addresses are for configs
        raise MissingFileError(f'there is no file {path}')
    require_checkpoint(path, 'CHECKPOINT')
    with clear_errors(path):
        load = _load_zip if zipfile.is_zipfile(path) else load_safely
        file = load(path)
        check_content(file)
    warn_of_changes(file, str(path))
    return dict(file)


def _load_zip(path: Path) -> Any:
    """Load a zip that torch wrote, or the checkpoint inside another zip."""
    with reading(), open_archive(path) as outer:
        names = [name for name in outer.namelist() if name[-1:] != '/']
        if any(PurePosixPath(name).name == 'data.pkl' for name in names):
            return load_safely(path)
        found = [
            name
            for name in names
            if name.endswith('.pth') and not name.startswith('__MACOSX/')
        ]
        if len(found) != 1:
            raise UserValueError(
                f'{path} is a zip with {len(found)} files that end in .pth '
                f'(it holds {shortened(listed(names), 300) or "nothing"}); '
                f'expected one'
            )
        # A name of our own: the one in the zip may lead anywhere.
        with tempfile.TemporaryDirectory() as folder:
            inside = Path(folder, 'inside.pth')
            _unpack(outer, found[0], inside)
            return load_safely(inside, name=f'{path}, {found[0]}')


def _unpack(outer: zipfile.ZipFile, name: str, out: Path) -> None:
    """Unpack one member; stop where it is larger than it can be."""
    member = outer.getinfo(name)
    left = _MOST_UNPACKED * member.compress_size
    if member.file_size > left:
        raise FileFault(
            f'{shortened(name)} would be {member.file_size} bytes, more than '
            f'{_MOST_UNPACKED} times its size in the zip',
            'Unpack it yourself if you trust it',
        )
    with outer.open(member) as packed, open(out, 'wb') as unpacked:
        while block := packed.read(1 << 20):
            left -= len(block)
            if left < 0:
                raise FileFault(f'{shortened(name)} is larger than it says')
            unpacked.write(block)


def find_weights(
    file: Mapping[str, Any], source: str = 'the file'
) -> dict[str, Tensor]:
    """Take the weights out of a file, without DataParallel's ``module.``.

    Args:
        file: the weights, or a dict with the weights under ``state_dict``.
        source: the name of the file, for errors.

    Raises:
        ValueError: the file holds no tensors.
    """
    if isinstance(file.get('state_dict'), Mapping):
        file = file['state_dict']
    weights = {str(k): v for k, v in file.items() if isinstance(v, Tensor)}
    if not weights:
        raise UserValueError(
            f'{source} holds no weights (it has {listed(file) or "nothing"}); '
            f'expected them by name, or as a dict under state_dict'
        )
    if all(name.startswith('module.') for name in weights):
        weights = {k.removeprefix('module.'): v for k, v in weights.items()}
    return weights


def warn_of_changes(file: Any, source: str) -> None:
    """Warn if a file has a fingerprint that its weights do not have.

    Args:
        file: the content of the file.
        source: the name of the file.

    Raises:
        ValueError: the fingerprint is damaged or of a newer format.
    """
    made = read_fingerprint(file, source)
    if made and (
        wrong := changes(find_weights(file, source), file['meta'], made)
    ):
        print_log(
            f'{source} is not as it was written: {wrong}; its fingerprint '
            f'has other weights (docs/checkpoints.md)',
            'current',
            logging.WARNING,
        )


def kept_meta(file: Mapping[str, Any], source: Path) -> dict[str, Any]:
    """Make the meta of a converted file: its source and its classes."""
    meta = dict(cbnet_version=__version__, converted_from=source.name)
    before = file.get('meta')
    if not isinstance(before, Mapping):
        return meta
    for key in ('mmdet_version', 'epoch', 'iter'):
        if isinstance(before.get(key), str | int):
            meta[f'source_{key}'] = before[key]
    classes = before.get('CLASSES')  # mmdet 2.x
    if isinstance(before.get('dataset_meta'), Mapping):
        classes = before['dataset_meta'].get('classes')
    if isinstance(classes, list | tuple) and all(
        isinstance(name, str) for name in classes
    ):
        meta['dataset_meta'] = dict(classes=tuple(classes))
    return meta


def write_weights(
    out: Path,
    weights: Mapping[str, Tensor],
    meta: Mapping[str, Any],
    outputs: Recorded | None = None,
) -> None:
    """Write a checkpoint for others, completely or not at all.

    Its meta gets a fingerprint.

    Args:
        out: the file to write.
        weights: the weights under the model's names.
        meta: further content; an earlier fingerprint is replaced.
        outputs: what was recorded of the detector's outputs, if it was
            built (``engine.probe``).

    Raises:
        FileNotSavedError: the file cannot be written.
    """
    size = sum(weight.nbytes for weight in weights.values())
    meta = with_fingerprint(meta, weights, outputs)
    content = dict(meta=meta, state_dict=dict(weights))
    with whole_file(out, size) as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:  # this is how torch reports a full disk
            raise OSError(str(error)) from error
